"""iBOT: a student that sees parts of a patch learns to say what its teacher, an average of itself, says of the whole.

Network, heads, losses and masks are those of lightly; here they are put together as the paper has them.

Source: Zhou et al. 2022, iBOT: Image BERT pre-training with online tokenizer, sections 3.1 and 3.2.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

from napari_cyto.errors import CytoError
from napari_cyto.models.backbones import backbone_features, make_backbone
from napari_cyto.models.encoder import TimmEncoder, is_transformer
from napari_cyto.training.config import EncoderConfig


class IBot(nn.Module):
    """Student, teacher, their heads, and the losses with their moving centres.

    Parameters
    ----------
    config : EncoderConfig
        The recipe's.

    Raises
    ------
    CytoError
        When the network is no vision transformer with a class token, or its first weights cannot be had.
    """

    def __init__(self, config: EncoderConfig) -> None:
        from lightly.loss import DINOLoss, IBOTPatchLoss

        super().__init__()
        self.config = config
        self.said: list[str] = []
        self.student = _network(config, config.weights, config.drop_path, self.said)
        # It takes over the student's weights below.
        self.teacher = _network(config, "none", 0.0)
        width = backbone_features(self.student.vit)
        self.student_head, self.teacher_head = _head(config, width), _head(config, width)
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher_head.load_state_dict(self.student_head.state_dict())
        for part in (self.teacher, self.teacher_head):
            part.requires_grad_(False)
        self.view_loss = DINOLoss(config.prototypes, student_temp=config.student_heat)
        self.patch_loss = IBOTPatchLoss(config.prototypes, student_temp=config.student_heat)
        self.prototypes_frozen = False
        self.student_head.last_layer.weight_v.register_hook(self._held)

    def train(self, mode: bool = True) -> IBot:
        """Set training mode; the teacher never drops anything."""
        super().train(mode)
        self.teacher.eval()
        self.teacher_head.eval()
        return self

    def forward(
        self,
        images: torch.Tensor,
        small: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
        heat: float = 0.0,
    ) -> Any:
        """Return the losses of views, or, of ``images`` alone, the teacher's vectors ``(b, length)``.

        The losses are two: that of the class tokens, across views, and that of the patches that the student does not
        see, 0 where there are none.

        Parameters
        ----------
        images : Tensor, float32
            (2 b, 3, g, g), the large views, one view of all patches after the other; or any images.
        small : Tensor, float32
            (n b, 3, l, l), the small views.
        masks : Tensor, bool
            (2 b, rows, columns), what the student does not see of the large views.
        heat : float
            The teacher's temperature.
        """
        if small is None or masks is None:
            return self.vectors(images)
        seen = self.student.encode(images, mask=_with_prefix(masks, self.student.vit.num_prefix_tokens))
        with torch.no_grad():
            whole = self.teacher.encode(images)
            said, of_patches = self._outputs(self.teacher_head, self.teacher, whole, masks)
        answers, of_masked = self._outputs(self.student_head, self.student, seen, masks)
        student = list(answers.chunk(2))
        if len(small):
            student += self.student_head(self.student.encode(small)[:, 0]).chunk(len(small) * 2 // len(images))
        # Sums over thousands of prototypes, which half precision would round.
        with torch.autocast(images.device.type, enabled=False):
            views = self.view_loss([t.float() for t in said.chunk(2)], [s.float() for s in student], teacher_temp=heat)
            if not len(of_masked):
                return views, views.new_zeros(())
            masked = self.patch_loss(of_patches.float(), of_masked.float(), masks, teacher_temp=heat)
        return views, masked

    def _outputs(
        self, head: nn.Module, network: Any, tokens: torch.Tensor, masks: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what a head says of the class tokens and of the masked patches; one head does both."""
        patches = tokens[:, network.vit.num_prefix_tokens :][masks.flatten(1)]
        both = head(torch.cat([tokens[:, 0], patches]))
        return both[: len(tokens)], both[len(tokens) :]

    def vectors(self, images: torch.Tensor) -> torch.Tensor:
        """Return the teacher's vectors, as the finished encoder will give them."""
        return TimmEncoder(self.teacher.vit, self.config.tokens)(images)

    def follow(self, momentum: float) -> None:
        """Move the teacher towards its student: ``teacher = momentum * teacher + (1 - momentum) * student``."""
        from lightly.models.utils import update_momentum

        with torch.no_grad():
            update_momentum(self.student, self.teacher, momentum)
            update_momentum(self.student_head, self.teacher_head, momentum)

    def _held(self, gradient: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(gradient) if self.prototypes_frozen else gradient


def _network(config: EncoderConfig, weights: str, drop_path: float, said: list[str] | None = None) -> Any:
    from lightly.models.modules import MaskedVisionTransformerTIMM
    from lightly.models.utils import update_drop_path_rate

    vit = make_backbone(config.backbone, weights, said=said)
    if not is_transformer(vit) or vit.cls_token is None:
        raise CytoError(
            f"Expected a vision transformer with a class token, such as vit_tiny_patch16_224, got {config.backbone}."
        )
    if drop_path:
        update_drop_path_rate(vit, drop_path)
    # Its weights are timm's own or those that the user named; lightly is to leave them as they are.
    return MaskedVisionTransformerTIMM(vit, weight_initialization="skip", pos_embed_initialization="skip")


def _head(config: EncoderConfig, width: int) -> Any:
    from lightly.models.modules.heads import DINOProjectionHead

    with warnings.catch_warnings():
        # lightly's heads use torch's weight_norm, which torch would rather have under another name.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return DINOProjectionHead(width, config.hidden, config.bottleneck, config.prototypes)


def _with_prefix(masks: torch.Tensor, prefix: int) -> torch.Tensor:
    """Return masks (b, tokens), class and register tokens unmasked."""
    flat = masks.flatten(1)
    return torch.cat([flat.new_zeros(len(flat), prefix), flat], 1)
