"""How a design becomes a picture: `render.py` beside this folder is its door."""
