"""What tests of whole federations share with those of single sessions."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "integration"))  # its rigs import each other by name
