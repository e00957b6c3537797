"""The products of a recurrence, all in one register-blocked form: C = A B or C += A B of matrices or views."""

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from models.kernels.compiling import compiled
from models.kernels.vectors import (
    LANES,
    WIDTH,
    broadcast_scalar,
    floats,
    load_at,
    multiply_add,
    pointer,
    store_at,
    transpose_block,
)

TALLEST = 8 if WIDTH == 16 else 4
"""Rows whose sums are in registers at once: 16 of AVX-512's 32 registers, or 8 of AVX2's 16."""
MATRIX, VIEW = "f4[:, ::1]", "f4[:, :]"


@intrinsic
def _product(typing: Any, c: Any, a: Any, b: Any, adding: Any) -> Any:
    """Compute C = A B, or C += A B where `adding`, in blocks of TALLEST rows, then of half as many, and so on."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        c, a, b, adding = args
        c_type, a_type, b_type, _ = sig.args
        a_view = context.make_array(a_type)(context, builder, a)
        rows, depth = cgutils.unpack_tuple(builder, a_view.shape)
        row_stride, column_stride = cgutils.unpack_tuple(builder, a_view.strides)
        integer = rows.type
        zero = ir.Constant(integer, 0)
        start_of_a = pointer(context, builder, a_type, a, zero, zero)

        def add_block(begin: Any, height: int) -> None:
            numbers = [builder.add(begin, ir.Constant(integer, i)) for i in range(height)]
            rows_of_c = [pointer(context, builder, c_type, c, i, zero) for i in numbers]
            rows_of_a = [builder.gep(start_of_a, [builder.mul(i, row_stride)]) for i in numbers]
            sums = [cgutils.alloca_once_value(builder, ir.Constant(floats, None)) for _ in numbers]
            with builder.if_then(adding):
                for row_of_c, total in zip(rows_of_c, sums, strict=True):
                    builder.store(load_at(builder, row_of_c, floats), total)
            with cgutils.for_range(builder, depth) as loop:
                row_of_b = load_at(builder, pointer(context, builder, b_type, b, loop.index, zero), floats)
                offset = builder.mul(loop.index, column_stride)
                for row_of_a, total in zip(rows_of_a, sums, strict=True):
                    entry = load_at(builder, builder.gep(row_of_a, [offset]), ir.FloatType())
                    factor = broadcast_scalar(builder, entry)
                    builder.store(multiply_add(builder, factor, row_of_b, builder.load(total)), total)
            for row_of_c, total in zip(rows_of_c, sums, strict=True):
                store_at(builder, row_of_c, builder.load(total))

        begin, height = zero, TALLEST
        while height:
            blocks = builder.udiv(builder.sub(rows, begin), ir.Constant(integer, height))
            with cgutils.for_range(builder, blocks) as loop:
                add_block(builder.add(begin, builder.mul(loop.index, ir.Constant(integer, height))), height)
            begin = builder.add(begin, builder.mul(blocks, ir.Constant(integer, height)))
            height //= 2
        return context.get_dummy_value()

    return types.void(c, a, b, types.boolean), generate


@partial(compiled, signature=f"void({VIEW}, {VIEW}, {VIEW})")
def multiply(c, a, b):
    """Set C = A B, where A [rows, depth] is any view, and C [rows, LANES] and B [depth, LANES] have contiguous rows.

    Each sum runs over the depth in order, so a row of C does not depend on the other rows.
    """
    _product(c, a, b, False)


@partial(compiled, signature=f"void({VIEW}, {VIEW}, {VIEW})")
def add_product(c, a, b):
    """Add A B to C; see `multiply`."""
    _product(c, a, b, True)


@partial(compiled, signature=f"void({VIEW}, {VIEW}, {VIEW}, i8)")
def add_outer(gradient, state, transposed, columns):
    """Add to gradient[i, j] the sum over lanes of state[i] * transposed[:, j], for j below `columns`.

    Columns up to the next multiple of LANES are written too, from whatever `transposed` holds there.
    """
    for j in range(0, columns, LANES):
        add_product(gradient[:, j : j + LANES], state, transposed[:, j : j + LANES])


@partial(compiled, signature=f"void({MATRIX}, {MATRIX})")
def transpose(tile, transposed):
    """Write the transpose of a tile [rows, LANES], whose rows are a multiple of WIDTH, to `transposed` [LANES, ...]."""
    for i in range(0, tile.shape[0], WIDTH):
        for j in range(0, LANES, WIDTH):
            transpose_block(tile, i, j, transposed)
