"""The rooms, for whoever reads types, or completes names; `__init__.py` opens them."""

from explainrec_lab import baselines as baselines
from explainrec_lab import data as data
from explainrec_lab import evaluate as evaluate
from explainrec_lab import exercises as exercises
from explainrec_lab import live as live
from explainrec_lab import lrp as lrp
from explainrec_lab import plots as plots
from explainrec_lab import reconet as reconet
from explainrec_lab import relation as relation
from explainrec_lab import saers as saers
from explainrec_lab import training as training
from explainrec_lab import vision as vision
from explainrec_lab import weights as weights
from explainrec_lab.settings import settings as settings

__version__: str
