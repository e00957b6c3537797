"""Vectors for the compiled recurrences: one value for each of LANES batch rows, held in the processor's registers.

A tile is a matrix of float32 whose rows are vectors: [rows, LANES]. Numba compiles the functions below to LLVM's vector
instructions, which keep the sums of a product in registers; with loops over arrays, the compiler would keep them in
memory. No sum is reordered, so a result does not depend on what else is computed beside it.
"""

import operator
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from models.kernels.compiling import compiled

FEATURES = config.CPU_FEATURES or llvm.get_host_cpu_features().flatten()
"""The instruction sets that Numba compiles for: the machine's, or those named in NUMBA_CPU_FEATURES."""
WIDTH = 16 if "+avx512f" in FEATURES else 8
"""Floats that one register holds."""
LANES = 2 * WIDTH
"""Floats of a vector: batch rows that are computed together."""


class VectorType(types.Type):
    """Numba's type for LANES floats in registers."""

    def __init__(self) -> None:
        super().__init__(name=f"vector{LANES}")


vector = VectorType()
floats = ir.VectorType(ir.FloatType(), LANES)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any):
        super().__init__(manager, kind, floats)


def _define(operation: Any, instruction: str) -> None:
    @infer_global(operation)
    class _Template(ConcreteTemplate):
        cases = (signature(vector, vector, vector),)

    @lower_builtin(operation, vector, vector)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return getattr(builder, instruction)(*args)


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _define(_operation, _instruction)


def pointer(context: Any, builder: Any, kind: Any, array: Any, row: Any, column: Any) -> Any:
    """Return the address of array[row, column] in a matrix with contiguous rows."""
    view = context.make_array(kind)(context, builder, array)
    stride = builder.extract_value(view.strides, 0)
    place = builder.add(builder.mul(row, stride), builder.mul(column, ir.Constant(column.type, 4)))
    return builder.gep(builder.bitcast(view.data, ir.IntType(8).as_pointer()), [place])


def load_at(builder: Any, place: Any, kind: Any) -> Any:
    """Load one float or a vector of floats from an address."""
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=4)


def store_at(builder: Any, place: Any, value: Any) -> None:
    """Store one float or a vector of floats at an address."""
    builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=4)


@intrinsic
def load(typing: Any, tile: Any, row: Any) -> Any:
    """Return the vector tile[row]."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(args[1].type, 0)
        return load_at(builder, pointer(context, builder, sig.args[0], args[0], args[1], zero), floats)

    return vector(tile, types.intp), generate


@intrinsic
def store(typing: Any, tile: Any, row: Any, value: Any) -> Any:
    """Set tile[row] to the vector."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        zero = ir.Constant(args[1].type, 0)
        place = pointer(context, builder, sig.args[0], args[0], args[1], zero)
        store_at(builder, place, args[2])
        return context.get_dummy_value()

    return types.void(tile, types.intp, vector), generate


def broadcast_scalar(builder: Any, scalar: Any) -> Any:
    """Return the vector that holds one scalar in every lane."""
    nothing = ir.Constant(floats, ir.Undefined)
    alone = builder.insert_element(nothing, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(alone, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


@intrinsic
def broadcast(typing: Any, scalar: Any) -> Any:
    """Return the vector that holds one scalar in every lane."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return broadcast_scalar(builder, args[0])

    return vector(types.float32), generate


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Return the vector a * b + c, rounded once."""
    kind = ir.FunctionType(floats, [floats] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32"), [a, b, c])


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """Return the vector a * b + c, rounded once."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return multiply_add(builder, *args)

    return vector(vector, vector, vector), generate


@intrinsic
def clamp(typing: Any, value: Any, bound: Any) -> Any:
    """Limit a vector to the range from -bound to bound; a NaN stays a NaN."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value, high = args[0], broadcast_scalar(builder, args[1])
        low = builder.fneg(high)
        value = builder.select(builder.fcmp_ordered(">", value, high), high, value)
        return builder.select(builder.fcmp_ordered("<", value, low), low, value)

    return vector(vector, types.float32), generate


@intrinsic
def transpose_block(typing: Any, tile: Any, row: Any, column: Any, transposed: Any) -> Any:
    """Set transposed[column + j, row + i] to tile[row + i, column + j], for all i and j below WIDTH."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        tile, row, column, transposed = args
        kind = ir.VectorType(ir.FloatType(), WIDTH)
        numbers = [ir.Constant(row.type, i) for i in range(WIDTH)]
        places = [pointer(context, builder, sig.args[0], tile, builder.add(row, i), column) for i in numbers]
        rows = [load_at(builder, place, kind) for place in places]
        step = 1
        while step < WIDTH:  # swaps the blocks beside the diagonal: of one float first, of half the matrix last
            for i in (i for i in range(WIDTH) if not i & step):
                upper, lower = rows[i], rows[i + step]
                upper_mask = [e if not e & step else WIDTH + e - step for e in range(WIDTH)]
                lower_mask = [e + step if not e & step else WIDTH + e for e in range(WIDTH)]
                rows[i], rows[i + step] = (
                    builder.shuffle_vector(upper, lower, ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), mask))
                    for mask in (upper_mask, lower_mask)
                )
            step *= 2
        for i, value in zip(numbers, rows, strict=True):
            place = pointer(context, builder, sig.args[3], transposed, builder.add(column, i), row)
            store_at(builder, place, value)
        return context.get_dummy_value()

    return types.void(tile, types.intp, types.intp, transposed), generate


@compiled
def tanh(x):
    """Return the hyperbolic tangent within 4e-7, as x P(x^2) / Q(x^2), a minimax fit up to 7.9.

    Beyond 7.9 the result is that at 7.9, 0.9999999; it never exceeds 1.
    """
    x = clamp(x, np.float32(7.9))
    y = x * x
    numerator = fma(y, broadcast(np.float32(1.15319594e-05)), broadcast(np.float32(0.00296048894)))
    numerator = fma(y, fma(y, numerator, broadcast(np.float32(0.129344344))), broadcast(np.float32(0.99999987)))
    denominator = fma(y, broadcast(np.float32(2.49257718e-07)), broadcast(np.float32(0.000240013973)))
    denominator = fma(y, fma(y, denominator, broadcast(np.float32(0.0238541532))), broadcast(np.float32(0.462676615)))
    return x * numerator / fma(y, denominator, broadcast(np.float32(1)))


@compiled
def sigmoid(x):
    """Return the logistic function, 1 / (1 + exp(-x)), computed from tanh."""
    half = broadcast(np.float32(0.5))
    return fma(half, tanh(half * x), half)
