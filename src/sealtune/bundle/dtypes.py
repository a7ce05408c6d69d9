"""Element types of tensors, as safetensors names them, and which bit patterns are not finite.

Whole-byte types only: the 4- and 6-bit ones of safetensors are refused where they are met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class DType:
    """One element type: its size in bytes and, for floats, how to see NaN and infinity.

    An element, read as little-endian `view`, is not finite where `element & mask >= threshold`.
    """

    size: int
    view: str = ""
    mask: int = 0
    threshold: int = 0

    def all_finite(self, data: memoryview) -> bool:
        """Return whether `data`, whole elements, holds neither NaN nor infinity.

        Integer comparison on the stored bits: no conversion, so every float type is checked alike,
        bfloat16 and the 8-bit ones included, which numpy does not know.
        """
        if not self.view:
            return True
        bits: npt.NDArray[Any] = np.frombuffer(data, dtype=self.view)
        mask = bits.dtype.type(self.mask)
        return not bool(((bits & mask) >= bits.dtype.type(self.threshold)).any())


# spec/bundle §6.3. IEEE 754 types are not finite where all exponent bits are set, hence threshold =
# the exponent field. E4M3 (the finite-only variant) has NaN alone, at 0x7F; E8M0 has NaN
# alone, at 0xFF. The FNUZ types are not in the table, so they are refused.
DTYPES: dict[str, DType] = {
    "BOOL": DType(1),
    "U8": DType(1),
    "I8": DType(1),
    "F8_E5M2": DType(1, "u1", 0x7F, 0x7C),
    "F8_E4M3": DType(1, "u1", 0x7F, 0x7F),
    "F8_E8M0": DType(1, "u1", 0xFF, 0xFF),
    "I16": DType(2),
    "U16": DType(2),
    "F16": DType(2, "<u2", 0x7FFF, 0x7C00),
    "BF16": DType(2, "<u2", 0x7FFF, 0x7F80),
    "I32": DType(4),
    "U32": DType(4),
    "F32": DType(4, "<u4", 0x7FFFFFFF, 0x7F800000),
    "F64": DType(8, "<u8", 0x7FFF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000),
    "I64": DType(8),
    "U64": DType(8),
    "C64": DType(8, "<u4", 0x7FFFFFFF, 0x7F800000),
}
