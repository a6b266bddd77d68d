"""Arguments of the kernels: broadcast to one flat length, or laid out as rows with time along the last axis.

The trap: numpy's own broadcast error does not say which argument is wrong; ours names it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmterm.core.bars import BoolArray, FloatArray
from qmterm.core.errors import BadInput

Shape = tuple[int, ...]
Steps = NDArray[np.int64]  # for each column: 1, or 0 where one value stands for all elements

_NUMBERS = "iufO"  # kinds of numpy types; objects (Decimal, None, large integers) must be convertible one by one


def to_float(name: str, value: ArrayLike) -> FloatArray:
    """A value as a float64 array; BadInput naming the argument when it is not numeric.

    None and what an array masks is NaN. Texts, booleans and instants are refused, though numpy would make numbers of
    them: they are arguments in the wrong place.
    """
    try:
        array = np.asarray(value)
        if array.dtype != np.float64:
            if array.dtype.kind not in _NUMBERS:
                raise TypeError(f"it holds {array.dtype}")
            array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"argument {name} is not a number or an array of numbers: {error}") from error
    mask = getattr(value, "mask", None)
    if isinstance(value, np.ndarray) and mask is not None:
        array = np.where(mask, np.nan, array)
    return array


def to_rights(value: ArrayLike) -> BoolArray:
    """`is_call` as an array of booleans, or of nothing; BadInput for anything else."""
    try:
        rights = np.asarray(value)
    except ValueError as error:
        raise BadInput(f"argument is_call must be True or False (or an array of them): {error}") from error
    if rights.size == 0:
        return rights.astype(np.bool_)
    if rights.dtype != np.bool_:
        raise BadInput(f"argument is_call must be True or False (or an array of them), not {rights.dtype}")
    if isinstance(value, np.ndarray) and np.any(getattr(value, "mask", False)):
        raise BadInput("argument is_call has masked elements: whether an option is a call must be known")
    return rights


def common_shape(**shapes: Shape) -> Shape:
    """The shape all arguments broadcast to; BadInput naming the first that does not fit."""
    shape: Shape = ()
    seen: list[str] = []
    for name, own in shapes.items():
        try:
            shape = np.broadcast_shapes(shape, own)
        except ValueError as error:
            before = ", ".join(seen)
            raise BadInput(
                f"argument {name} has shape {own}, which does not fit the shape {shape} of {before}: "
                "pass one value or equal lengths"
            ) from error
        seen.append(name)
    return shape


def flatten(**arguments: ArrayLike) -> tuple[Shape, FloatArray]:
    """The common shape, and the arguments as rows of one (arguments, elements) block in the order given."""
    arrays = {name: to_float(name, value) for name, value in arguments.items()}
    shape = common_shape(**{name: array.shape for name, array in arrays.items()})
    return shape, _block(shape, list(arrays.values()))


def flatten_options(is_call: ArrayLike, **arguments: ArrayLike) -> tuple[Shape, BoolArray, FloatArray]:
    """As `flatten`, with the options' right as booleans beside the numbers."""
    rights = to_rights(is_call)
    arrays = {name: to_float(name, value) for name, value in arguments.items()}
    shape = common_shape(**{name: array.shape for name, array in arrays.items()}, is_call=rights.shape)
    # A copy: a read-only view would make numba compile every kernel a second time.
    calls = np.broadcast_to(rights, shape).copy().reshape(-1)
    return shape, calls, _block(shape, list(arrays.values()))


class Columns(NamedTuple):
    """Options as kernels like to read them: element i of column c is `numbers[c][i·steps[c]]`."""

    shape: Shape
    size: int
    calls: BoolArray
    numbers: tuple[FloatArray, ...]
    steps: Steps  # the last is that of `calls`


def option_columns(is_call: ArrayLike, **arguments: ArrayLike) -> Columns:
    """As `flatten_options` without copying: full arrays stay where they are, single values stay single."""
    rights = to_rights(is_call)
    arrays = {name: to_float(name, value) for name, value in arguments.items()}
    shape = common_shape(**{name: array.shape for name, array in arrays.items()}, is_call=rights.shape)
    every = [*arrays.values(), rights]
    steps = np.array([array.size != 1 for array in every], dtype=np.int64)
    flat = [_column(array, shape) for array in every]
    return Columns(shape, math.prod(shape), flat.pop(), tuple(flat), steps)


def _column(array: NDArray[Any], shape: Shape) -> NDArray[Any]:
    if array.size != 1 and array.shape != shape:
        array = np.broadcast_to(array, shape)
    flags = array.flags
    # Numba compiles every kernel once more for an array that is read-only, strided or unaligned.
    if not (flags.c_contiguous and flags.writeable and flags.aligned):
        array = array.copy(order="C")
    return array.reshape(-1)


def _block(shape: Shape, arrays: list[FloatArray]) -> FloatArray:
    block = np.empty((len(arrays), *shape))
    for number, array in enumerate(arrays):
        block[number] = array
    return block.reshape(len(arrays), -1)


def rows_of(**series: ArrayLike) -> tuple[Shape, tuple[FloatArray, ...]]:
    """Series of equal shape as contiguous (rows, time) blocks, and their original shape."""
    shape: Shape | None = None
    blocks: list[FloatArray] = []
    for name, values in series.items():
        array = to_float(name, values)
        if array.ndim == 0:
            raise BadInput(f"argument {name} is a single number: a series with time along its last axis is needed")
        if shape is not None and array.shape != shape:
            raise BadInput(f"argument {name} has shape {array.shape}, the other series have {shape}")
        shape = array.shape
        rows = int(np.prod(shape[:-1], dtype=np.int64))
        blocks.append(np.ascontiguousarray(array).reshape(rows, shape[-1]))
    assert shape is not None
    return shape, tuple(blocks)


def window(name: str, n: int, least: int = 1) -> int:
    """A window length that makes sense; BadInput otherwise."""
    if not isinstance(n, int | np.integer) or n < least:
        raise BadInput(f"{name} must be a whole number, at least {least}, not {n}")
    return int(n)
