"""The products of a recurrence, all in one register-blocked form: C += A B, where the rows of B and C are vectors."""

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
    turn,
)

TALLEST = 8 if WIDTH == 16 else 4
"""Rows whose sums are in registers at once: 16 of AVX-512's 32 registers, or 8 of AVX2's 16."""
TILE = "f4[:, ::1]"


@intrinsic
def _product(typing: Any, c: Any, c_row: Any, c_column: Any, rows: Any, fresh: Any, a: Any, a_row: Any, a_column: Any,
             across: Any, b: Any, b_row: Any, b_column: Any, depth: Any) -> Any:  # fmt: skip
    """`multiply`, in blocks of TALLEST rows and what is left in blocks of half as many, and again."""

    def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        c, c_row, c_column, rows, fresh, a, a_row, a_column, across, b, b_row, b_column, depth = args
        c_kind, _, _, _, _, a_kind, _, _, _, b_kind, *_ = sig.args
        whole = rows.type
        stride = builder.extract_value(context.make_array(a_kind)(context, builder, a).strides, 0)
        down = builder.select(across, ir.Constant(whole, 4), stride)
        along = builder.select(across, stride, ir.Constant(whole, 4))
        corner = pointer(context, builder, a_kind, a, a_row, a_column)

        def add_block(begin: Any, height: int) -> None:
            steps = [builder.add(begin, ir.Constant(whole, i)) for i in range(height)]
            places = [pointer(context, builder, c_kind, c, builder.add(c_row, i), c_column) for i in steps]
            lines = [builder.gep(corner, [builder.mul(i, down)]) for i in steps]
            sums = [cgutils.alloca_once_value(builder, ir.Constant(floats, None)) for _ in steps]
            with builder.if_then(builder.not_(fresh)):
                for place, total in zip(places, sums, strict=True):
                    builder.store(load_at(builder, place, floats), total)
            with cgutils.for_range(builder, depth) as loop:
                row = pointer(context, builder, b_kind, b, builder.add(b_row, loop.index), b_column)
                theirs, offset = load_at(builder, row, floats), builder.mul(loop.index, along)
                for line, total in zip(lines, sums, strict=True):
                    ours = broadcast_scalar(builder, load_at(builder, builder.gep(line, [offset]), ir.FloatType()))
                    builder.store(multiply_add(builder, ours, theirs, builder.load(total)), total)
            for place, total in zip(places, sums, strict=True):
                store_at(builder, place, builder.load(total))

        begin, height = ir.Constant(whole, 0), TALLEST
        while height:
            blocks = builder.udiv(builder.sub(rows, begin), ir.Constant(whole, height))
            with cgutils.for_range(builder, blocks) as loop:
                add_block(builder.add(begin, builder.mul(loop.index, ir.Constant(whole, height))), height)
            begin = builder.add(begin, builder.mul(blocks, ir.Constant(whole, height)))
            height //= 2
        return context.get_dummy_value()

    n, yes = types.intp, types.boolean
    return types.void(c, n, n, n, yes, a, n, n, yes, b, n, n, n), generate


@partial(compiled, signature=f"void({TILE}, i8, i8, i8, b1, {TILE}, i8, i8, b1, {TILE}, i8, i8, i8)")
def multiply(c, c_row, c_column, rows, fresh, a, a_row, a_column, across, b, b_row, b_column, depth):
    """C = A B where `fresh`, else C += A B, for one vector's width of columns.

    C is c[c_row : c_row + rows, c_column : c_column + LANES], B is b[b_row : b_row + depth, b_column :] as far, and
    A(i, j) is a[a_row + i, a_column + j], or a[a_row + j, a_column + i] where `across`. Each sum runs over the depth in
    order, whatever stands in the other rows.
    """
    _product(c, c_row, c_column, rows, fresh, a, a_row, a_column, across, b, b_row, b_column, depth)


@partial(compiled, signature=f"void({TILE}, i8, i8, i8, {TILE}, i8, {TILE}, i8)")
def add_outer(gradient, row, rows, columns, state, state_row, turned, begin):
    """Add to gradient[row + i, j] the sum over lanes of state[state_row + i] * turned[:, begin + j].

    Columns up to the next multiple of LANES are written too, with what stands there.
    """
    for j in range(0, columns, LANES):
        multiply(gradient, row, j, rows, False, state, state_row, 0, False, turned, 0, begin + j, LANES)


@partial(compiled, signature=f"void({TILE}, {TILE})")
def transpose(tile, turned):
    """Write the transpose of a tile [rows, LANES], whose rows are a multiple of WIDTH, into `turned` [LANES, ...]."""
    for i in range(0, tile.shape[0], WIDTH):
        for j in range(0, LANES, WIDTH):
            turn(tile, i, j, turned)
