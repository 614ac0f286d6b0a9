// The browser's ears and voice, where it has them. Nothing is said before the reader asks for it.

function speech() {
  const Recognition = window.SpeechRecognition ?? window.webkitSpeechRecognition;
  const voice = window.speechSynthesis;
  return {
    hears: Boolean(Recognition),
    speaks: Boolean(voice && window.SpeechSynthesisUtterance),
    muted: true,
    say(text) {
      if (this.muted || !this.speaks) return;
      voice.cancel();
      const utterance = new SpeechSynthesisUtterance(text);
      utterance.lang = "en";
      voice.speak(utterance);
    },
    mute(muted) {
      this.muted = muted;
      if (muted && this.speaks) voice.cancel();
    },
    listen(heard, failed, ended) {
      const ear = new Recognition();
      ear.lang = "en";
      ear.onresult = (event) => heard(event.results[0][0].transcript);
      ear.onerror = ({error}) => failed(TROUBLE[error] ?? "I heard nothing; try again or type.");
      ear.onend = ended;
      ear.start();
      return ear;
    },
  };
}

const TROUBLE = {
  "not-allowed": "The browser does not let this page listen; type instead.",
  "service-not-allowed": "The browser does not let this page listen; type instead.",
  "audio-capture": "There is no microphone; type instead.",
  "network": "The browser's speech service is out of reach; type instead.",
};
