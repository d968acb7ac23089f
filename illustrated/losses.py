"""What training minimises: retrieval with many right answers, and attribute heads.

In a batch a caption such as "a frog in the snow" fits several drawings, so each caption comes
with the exact set it fits, and other right answers are never counted as wrong.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from illustrated.captions import ATTRIBUTES
from illustrated.drawings_cache import VOCABULARY


def match_matrix(codes: Tensor, source: Tensor, named: Tensor) -> Tensor:
    """Which captions fit which drawings (captions x drawings, bool).

    codes: drawings x attributes; source: the drawing each caption was written for; named:
    captions x attributes, whether the caption tells the attribute.
    """
    same = codes[source][:, None, :] == codes[None, :, :]
    return torch.all(same | ~named[:, None, :], dim=2)


def many_positive_loss(scores: Tensor, matches: Tensor) -> Tensor:
    """Mean over the rows of -log(p / (p + all wrong answers)) for each right answer p.

    scores, matches: rows x candidates; rows without a right answer are left out.
    """
    wrong = scores.masked_fill(matches, -1e4).logsumexp(dim=1, keepdim=True)
    each = F.softplus(wrong - scores) * matches
    rights = matches.sum(dim=1)
    kept = rights > 0
    mean: Tensor = (each.sum(dim=1)[kept] / rights[kept]).mean()
    return mean


def retrieval_loss(words: Tensor, pictures: Tensor, scale: Tensor, matches: Tensor) -> Tensor:
    """Words find pictures, and pictures find words; both unit vectors."""
    scores = scale * words @ pictures.T
    found: Tensor = many_positive_loss(scores, matches)
    return 0.65 * found + 0.35 * many_positive_loss(scores.T, matches.T)


class AttributeHeads(nn.Module):
    """Linear readers of every attribute, from a picture's or a caption's vector.

    They exist in training only: they make small parts such as eyes worth looking at before the
    retrieval loss alone would find them.
    """

    def __init__(self, dimension: int) -> None:
        """`dimension` is the length of the joint vectors."""
        super().__init__()
        self.readers = nn.ModuleList(nn.Linear(dimension, len(VOCABULARY[a])) for a in ATTRIBUTES)

    def forward(self, vectors: Tensor, codes: Tensor, named: Tensor | None = None) -> Tensor:
        """Mean cross-entropy per attribute (6); only over rows that name it, where given."""
        losses = []
        for position, reader in enumerate(self.readers):
            each = F.cross_entropy(reader(vectors), codes[:, position], reduction="none")
            if named is None:
                losses.append(each.mean())
            else:
                told = named[:, position].float()
                losses.append((each * told).sum() / told.sum().clamp(min=1.0))
        return torch.stack(losses)
