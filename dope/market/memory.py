"""Plain memory for compiled code: addresses instead of arrays, eight bytes of a text at once, blocks moved as a whole.

Nothing here checks a bound: whoever calls says how it knows that it stays inside. An array handed from one compiled
function to another costs a reference count and seven words on the stack, an index that may be negative a test; on the way of
every level that is more than the work itself. An address is only valid while its owner is held by the caller.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils

intrinsic: Any = extending.intrinsic
_I1, _I8, _I64 = ir.IntType(1), ir.IntType(8), ir.IntType(64)


def _place(builder: Any, address: Any, index: Any, element: Any) -> Any:
    """Pointer to an element behind an address, in generated code."""
    return builder.gep(builder.inttoptr(address, element.as_pointer()), [index])


@intrinsic
def address(typing: Any, owner: Any) -> Any:
    """Where the first element of an array or of bytes lies."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        return builder.ptrtoint(found.data, _I64)

    return types.int64(owner), generate


@intrinsic
def byte(typing: Any, text: Any, at: Any) -> Any:
    """The byte at position ``at`` of a text."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(_place(builder, arguments[0], arguments[1], _I8)), _I64)

    return types.int64(types.int64, types.int64), generate


@intrinsic
def word(typing: Any, text: Any, at: Any) -> Any:
    """The eight bytes of a text from position ``at`` on as an unsigned number, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _place(builder, arguments[0], arguments[1], _I8)
        loaded = builder.load(builder.bitcast(pointer, _I64.as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(types.int64, types.int64), generate


@intrinsic
def get(typing: Any, numbers: Any, index: Any) -> Any:
    """One int64 of a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_place(builder, arguments[0], arguments[1], _I64))

    return types.int64(types.int64, types.int64), generate


@intrinsic
def put(typing: Any, numbers: Any, index: Any, value: Any) -> Any:
    """Set one int64 of a row."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _place(builder, arguments[0], arguments[1], _I64))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def move(typing: Any, numbers: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy ``count`` int64 within a row; the two ranges may overlap."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, of = (_place(builder, arguments[0], arguments[k], _I64) for k in (1, 2))
        cgutils.raw_memmove(builder, to, of, arguments[3], 8)  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), generate


@intrinsic
def trailing_zeros(typing: Any, value: Any) -> Any:
    """Zero bits below the lowest one of an unsigned number; 64 for 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(_I1, 0))

    return types.uint64(types.uint64), generate
