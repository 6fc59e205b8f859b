"""API tokens over HTTP."""

from fastapi import APIRouter

from aditus.control.api.answers import NewTokenAnswer, PageAnswer, TokenAnswer
from aditus.control.api.asking import Asks, IdempotencyKey
from aditus.control.api.bodies import CreateToken
from aditus.control.service.tokens import Tokens


def router(tokens: Tokens) -> APIRouter:
    """The routes of API tokens."""
    routes = APIRouter(prefix="/v1/tokens", tags=["tokens"])

    @routes.post("", status_code=201)
    def create_token(caller: Asks, body: CreateToken, idempotency_key: IdempotencyKey = "") -> NewTokenAnswer:
        """Create a token with at most the caller's rights. The answer has it, this only time."""
        new = tokens.create(
            caller,
            body.name,
            role=body.role,
            locator=body.locator,
            expires_at=body.expires_at,
            idempotency_key=idempotency_key,
        )
        return NewTokenAnswer.of(new)

    @routes.get("")
    def list_tokens(caller: Asks) -> PageAnswer[TokenAnswer]:
        """List the caller's tokens, oldest first, all on one page."""
        return PageAnswer(items=[TokenAnswer.model_validate(token) for token in tokens.list(caller)])

    @routes.delete("/{token_id}", status_code=204)
    def revoke_token(caller: Asks, token_id: str) -> None:
        """End one of the caller's tokens."""
        tokens.revoke(caller, token_id)

    return routes
