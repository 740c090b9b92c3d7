"""What went wrong, in words: what is a fault of ours is not told, only that there is one."""

from collections.abc import Iterator

from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from typing_extensions import override

from streamer.errors import SourceError, StreamerError


class Wording(SchemaExtension):
    """Words the errors of an answer."""

    @override
    def on_operation(self) -> Iterator[None]:
        yield
        result = self.execution_context.result
        if result and (errors := result.errors):
            result.errors = [_worded(error) for error in errors]


def is_fault(error: GraphQLError) -> bool:
    """Tell whether nobody foresaw an error."""
    return not isinstance(error.original_error, StreamerError | GraphQLError | None)


def _worded(error: GraphQLError) -> GraphQLError:
    cause = error.original_error
    if is_fault(error):
        sentence, hint = "this is a fault of the service: its log has more", None
    elif isinstance(cause, StreamerError):
        sentence = f"the Prefect server cannot be asked: {cause}" if isinstance(cause, SourceError) else str(cause)
        hint = cause.hint
    else:
        return error
    return GraphQLError(sentence, error.nodes, path=error.path, extensions={"hint": hint} if hint else None)
