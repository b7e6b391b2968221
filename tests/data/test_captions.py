"""A caption states exactly the facts of its scene, in few and known words."""

from itertools import combinations

import numpy as np
import pytest

from arc_eval.data.synthetic import CLASSES, Settings, caption_words
from arc_eval.data.synthetic.captions import MOST_WORDS, article, caption, stated_in
from arc_eval.data.synthetic.scene import ALIKE, BACKGROUNDS, VALUES, Scene
from arc_eval.data.synthetic.vocabulary import AFTER, BEFORE, SOUNDS

SCENES = [Settings(split="train", count=3000).build().scene(index) for index in range(3000)]


def facts_of(scene: Scene) -> set[tuple[str, str]]:
    space = {("space", scene.space)} if scene.space else set()
    return space | {fact for event in scene.events for fact in event.stated.items()}


def test_what_is_read_back_from_a_caption_is_what_the_scene_states():
    wrong = [(s.caption, facts_of(s)) for s in SCENES if stated_in(s.caption) != facts_of(s)]
    assert not wrong


def test_a_caption_names_its_sounds():
    def names(sound: str) -> set[str]:
        known = SOUNDS[sound]
        return {*known.names, *known.mass, *known.one, *known.many}

    wrong = [
        scene.caption
        for scene in SCENES
        for sound in scene.classes
        if not any(name in scene.caption for name in names(sound))
    ]
    assert not wrong


def test_no_wording_of_one_fact_says_another():
    wordings = {fact: BEFORE.get(fact, ()) + AFTER.get(fact, ()) for fact in {**BEFORE, **AFTER}}
    for fact, phrases in wordings.items():
        assert all(stated_in(said) == {fact} for said in phrases), fact


def test_no_name_of_a_sound_says_an_attribute():
    for sound in SOUNDS.values():
        for name in (*sound.names, *sound.mass, *sound.one, *sound.many):
            assert stated_in(name) == set(), name


def test_no_two_classes_share_a_name():
    for one, other in combinations(SOUNDS.values(), 2):
        assert not {*one.names, *one.mass, *one.one, *one.many} & {
            *other.names,
            *other.mass,
            *other.one,
            *other.many,
        }


def test_every_value_can_be_said():
    assert {(name, value) for name, values in VALUES.items() for value in values} == {*BEFORE, *AFTER}


def test_captions_have_2_to_14_words_of_fewer_than_400():
    words = caption_words()
    assert len(words) < 400
    for scene in SCENES:
        assert 2 <= len(scene.caption.split()) <= MOST_WORDS
        assert set(scene.caption.split()) <= words


def test_what_can_hardly_be_said_in_few_words_is_still_said():
    stated = {"loudness": "loud", "pitch": "low", "brightness": "dull", "position": "left", "count": "one"}
    crowded = [("guitar", stated), ("bell", {**stated, "position": "right"})]
    text = caption(np.random.default_rng(0), crowded, {"space": "hall"})
    assert stated_in(text) >= {*stated.items(), ("position", "right"), ("space", "hall")}


def test_captions_vary():
    assert len({scene.caption for scene in SCENES}) > 0.8 * len(SCENES)
    rng = np.random.default_rng(0)
    assert len({caption(rng, [("bell", {"loudness": "loud"})], {}) for _ in range(60)}) > 10


def test_one_scene_in_five_holds_two_sounds_that_can_be_told_apart():
    pairs = [scene for scene in SCENES if len(scene.events) == 2]
    assert len(pairs) / len(SCENES) == pytest.approx(0.2, abs=0.03)
    for scene in pairs:
        assert len(set(scene.classes)) == 2
        assert not set(scene.classes) <= BACKGROUNDS
        assert set(scene.classes) not in ALIKE


def test_every_class_and_value_occurs_about_equally_often():
    heard = [sound for scene in SCENES for sound in scene.classes]
    counts = [heard.count(sound) for sound in CLASSES]
    assert min(counts) > 0.75 * max(counts)
    stated = [fact for scene in SCENES for fact in facts_of(scene)]
    for one, other in (("left", "right"), ("high", "low"), ("bright", "dull"), ("fast", "slow")):
        assert sum(v == one for _, v in stated) == pytest.approx(sum(v == other for _, v in stated), rel=0.25)


def test_a_stated_speed_is_of_something_that_goes_on():
    for scene in SCENES:
        for event in scene.events:
            if "speed" in event.stated and SOUNDS[event.sound].countable:
                assert event.stated["count"] == "many"


def test_the_article_follows_the_first_letter():
    assert (article("organ chord"), article("loud organ chord")) == ("an organ chord", "a loud organ chord")
