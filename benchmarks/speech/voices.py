"""Who speaks: the voices, and which part of the material each belongs to.

A part is told apart by speaker: one who is heard in ``tune`` is not heard in ``held-out``, whatever
program speaks with that voice (flite and festival both have kal and slt; NSK speaks Hindi and
Telugu). Save for the recorded prompts, each of which is a synthesizer of its own, a program
belongs to one part, too. Babble is made of voices that are never talkers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Literal

Part = Literal["tune", "held-out", "quick"]
PARTS: tuple[Part, ...] = ("tune", "held-out", "quick")


@dataclasses.dataclass(frozen=True)
class Voice:
    """One speaker as one program speaks with it.

    ``words_per_minute`` and ``pitch`` (0 to 99) are known to espeak-ng only; ``name`` is what the
    synthesizer calls the voice.
    """

    synthesizer: str
    name: str
    language: str
    sex: Literal["f", "m"]
    part: Part
    babble: bool = False
    words_per_minute: int = 170
    pitch: int = 50

    @property
    def speaker(self) -> str:
        """Two voices with one speaker are recordings, or a model, of one person."""
        return SPEAKERS.get((self.synthesizer, self.name), f"{self.synthesizer}:{self.name}")


SPEAKERS = {
    ("festival", "kal_diphone"): "kal",
    ("flite", "kal"): "kal",
    ("flite", "kal16"): "kal",
    ("festival", "cmu_us_slt_arctic_hts"): "slt",
    ("flite", "slt"): "slt",
    ("festival", "hindi_NSK_diphone"): "nsk",
    ("festival", "telugu_NSK_diphone"): "nsk",
}


def _espeak(part: Part, *voices: tuple[str, str, int, int], babble: bool = False) -> list[Voice]:
    """From (name, sex, words a minute, pitch); the name begins with the language."""
    return [
        Voice("espeak-ng", name, name[:2], "f" if sex == "f" else "m", part, babble, wpm, pitch)
        for name, sex, wpm, pitch in voices
    ]


def _other(part: Part, *voices: str, babble: bool = False) -> list[Voice]:
    """From "synthesizer name language sex"."""
    split = (voice.split() for voice in voices)
    return [
        Voice(synthesizer, name, language, "f" if sex == "f" else "m", part, babble)
        for synthesizer, name, language, sex in split
    ]


VOICES: tuple[Voice, ...] = (
    *_espeak(
        "tune",
        ("en-us+m3", "m", 165, 45),
        ("en-gb-x-rp+f2", "f", 175, 55),
        ("en-gb-scotland+m1", "m", 190, 40),
        ("de+f4", "f", 160, 50),
        ("de+m7", "m", 180, 35),
        ("fr+f3", "f", 170, 60),
        ("es-419+m5", "m", 150, 50),
        ("pt-br+m1", "m", 170, 50),
        ("nl+f2", "f", 200, 50),
        ("pl+m4", "m", 170, 30),
        ("tr+Annie", "f", 185, 50),
        ("sv+klatt4", "f", 160, 75),
    ),
    *_espeak(
        "tune",
        ("en-029+m2", "m", 175, 50),
        ("en-us-nyc+f1", "f", 185, 45),
        ("de+m6", "m", 170, 60),
        ("it+f5", "f", 165, 50),
        ("fr+m8", "m", 190, 50),
        babble=True,
    ),
    *_other(
        "tune",
        "flite kal16 en m",
        "flite awb en m",
        "flite rms en m",
        "flite slt en f",
        "asterisk-core-sounds-en-g722 en_US_f_Allison en f",
        "asterisk-core-sounds-es-g722 es_MX_f_Allison es f",
        "asterisk-core-sounds-it-g722 it_IT_m_Carlo it m",
    ),
    *_other(
        "held-out",
        "festival lp_diphone it f",
        "festival pc_diphone it m",
        "festival suo_fi_lj_diphone fi f",
        "festival msu_ru_nsh_clunits ru m",
        "festival czech_dita cs f",
        "festival czech_machac cs m",
        "festival czech_ph cs m",
        "festival ked_diphone en m",
        "asterisk-core-sounds-fr-g722 fr_CA_f_June fr f",
        "asterisk-core-sounds-ru-g722 ru_RU_f_IvrvoiceRU ru f",
        "asterisk-prompt-it-menardi-wav it_IT_f_Menardi it f",
    ),
    *_other(
        "held-out",
        # Most of these hiss in their pauses, so the truth cannot be read off them.
        "festival hindi_NSK_diphone hi m",
        "festival telugu_NSK_diphone te m",
        "festival hy_fi_mv_diphone fi m",
        "festival upc_ca_ona_hts ca f",
        "festival czech_krb cs m",
        babble=True,
    ),
    *_espeak(
        "quick",
        ("en-us+adam", "m", 170, 50),
        ("en-gb-x-gbclan+linda", "f", 175, 55),
        ("de+steph", "f", 165, 50),
        ("es+pablo", "m", 180, 45),
        ("fr+Alicia", "f", 170, 50),
        ("it+sandro", "m", 165, 50),
        ("sv+Andrea", "f", 175, 45),
        ("nl+Henrique", "m", 185, 50),
    ),
    *_espeak(
        "quick",
        ("en-gb-x-gbcwmd+robert", "m", 170, 50),
        ("fr+steph2", "f", 180, 50),
        ("pt+miguel", "m", 175, 50),
        babble=True,
    ),
)


def talkers(part: Part) -> Iterator[Voice]:
    """Whom the part lets speak."""
    return (voice for voice in VOICES if voice.part == part and not voice.babble)


def babblers(part: Part) -> Iterator[Voice]:
    """Whose voices make the part's babble."""
    return (voice for voice in VOICES if voice.part == part and voice.babble)
