"""The output network of MTCNN, which predicts five landmarks of a face.

Source: Zhang, Zhang, Li and Qiao (2016, arXiv:1604.02878), Figure 2. Tensors are named as in the PyTorch
weights of the package facenet-pytorch.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from visagist.boundary.tensor_files import find_defect
from visagist.boundary.untrusted import WEIGHT_BYTES, open_regular
from visagist.errors import VisagistError, first_line

SIDE = 48  # pixels of the input


class ONet(nn.Module):
    """Faces [B, 3, 48, 48] in [−1, 1] to points [B, 5, 2] as fractions of the picture, from its upper left corner.

    Left eye, right eye, tip of the nose, left and right corner of the mouth; left is that of the picture. The heads for
    classification and box regression exist only so that the weights fit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.prelu1 = nn.Conv2d(3, 32, 3), nn.PReLU(32)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv2, self.prelu2 = nn.Conv2d(32, 64, 3), nn.PReLU(64)
        self.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.conv3, self.prelu3 = nn.Conv2d(64, 64, 3), nn.PReLU(64)
        self.pool3 = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.conv4, self.prelu4 = nn.Conv2d(64, 128, 2), nn.PReLU(128)
        self.dense5, self.prelu5 = nn.Linear(1152, 256), nn.PReLU(256)
        self.dense6_1, self.dense6_2, self.dense6_3 = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.prelu1(self.conv1(x)))
        x = self.pool2(self.prelu2(self.conv2(x)))
        x = self.pool3(self.prelu3(self.conv3(x)))
        x = self.prelu4(self.conv4(x))
        # The weights expect columns before rows.
        x = self.prelu5(self.dense5(x.permute(0, 3, 2, 1).flatten(1)))
        points: Tensor = self.dense6_3(x)
        return points.unflatten(1, (2, 5)).transpose(1, 2)


def read_onet(path: Path) -> ONet:
    """Read the network from a file, in evaluation mode; VisagistError where the weights do not fit."""
    network = ONet().eval()
    try:
        with open_regular(path, WEIGHT_BYTES) as file:
            network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        problem = find_defect(network.state_dict())
        if problem:
            raise ValueError(problem)
    except VisagistError:
        raise
    except Exception as error:  # torch's reader raises any kind of exception for a malformed file
        raise VisagistError(f"cannot read {path} as weights of MTCNN's output network: {first_line(error)}") from error
    return network
