"""An endless, seeded source of captioned 44.1 kHz stereo sounds whose labels are known exactly."""

from arc_eval.data.synthetic.captions import caption_words
from arc_eval.data.synthetic.scene import Event, Scene
from arc_eval.data.synthetic.source import Settings, Synthetic
from arc_eval.data.synthetic.vocabulary import CLASSES

__all__ = ["CLASSES", "Event", "Scene", "Settings", "Synthetic", "caption_words"]
