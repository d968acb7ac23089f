"""The three words for what a map knows of a taxon in a cell. There is no fourth."""

from __future__ import annotations

from typing import Literal, TypeAlias

State: TypeAlias = Literal["recorded", "searched, not recorded", "not searched"]
RECORDED: State = "recorded"
SEARCHED: State = "searched, not recorded"
NOT_SEARCHED: State = "not searched"
MAP_STATES: tuple[State, ...] = (RECORDED, SEARCHED, NOT_SEARCHED)
