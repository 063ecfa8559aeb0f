"""What the server answers to each path."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from inceptorch.serve import open_inference as inference
from inceptorch.serve import schemas
from inceptorch.serve.body import Form, announced, read_body
from inceptorch.serve.schemas import responses
from inceptorch.serve.service import LONG, Service, cancel_on_disconnect, gather_all

PAGE = Path(__file__).parent / "page"
PAGE_KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def application(serving: Service, token: str | None = None) -> FastAPI:
    """The application: paths that anyone may ask for, and those that need the token, if there is one."""
    app = FastAPI(
        title="inceptorch",
        version=version("inceptorch"),
        description="Says what is in images.",
        docs_url=None,  # these would fetch scripts from elsewhere
        redoc_url=None,
    )
    app.state.serving = serving
    app.include_router(open_to_all)
    app.include_router(guarded, dependencies=[Depends(_bearer(token))] if token else [])
    for file in PAGE.iterdir():
        if file.suffix in PAGE_KINDS:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            app.add_api_route(path, _page_file(file), include_in_schema=False)
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _impossible_value)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)
    return app


async def _serving(request: Request) -> Service:
    serving: Service = request.app.state.serving
    return serving


Shared = Annotated[Service, Depends(_serving)]
open_to_all, guarded = APIRouter(), APIRouter()


@open_to_all.get("/healthz", response_model=schemas.Status, responses=responses(schemas.Status), tags=["health"])
async def healthz() -> Any:
    """Whether the server is alive."""
    return {"status": "ok"}


@open_to_all.get("/readyz", response_model=schemas.Status, responses=responses(schemas.Status), tags=["health"])
async def readyz() -> Any:
    """Whether the server can answer. It does not speak before its models have answered once: who asks sooner waits."""
    return {"status": "ok"}


@open_to_all.get("/v2/health/live", response_model=schemas.Live, tags=["open inference protocol"])
async def live() -> Any:
    """Whether the server is alive."""
    return {"live": True}


@open_to_all.get(
    "/v2/health/ready",
    response_model=schemas.Ready,
    responses=responses(schemas.Ready),
    tags=["open inference protocol"],
)
async def ready() -> Any:
    """Whether the server can answer."""
    return {"ready": True}


@guarded.get("/about", response_model=schemas.About, responses=responses(schemas.About, 401))
async def about(serving: Shared) -> Any:
    """The models, and what a request may have at most."""
    return {
        "models": [served.about() for served in serving.models.values()],
        "limits": {"max_body": serving.limits.body, "max_files": serving.limits.files},
    }


@guarded.get("/metrics", response_class=Response, responses={**responses(None, 401), 200: schemas.COUNTERS})
async def metrics(serving: Shared) -> Response:
    """Counters and times, for Prometheus."""
    return Response(serving.metrics.text(), media_type=serving.metrics.content_type)


@guarded.post(
    "/predict",
    response_class=Response,
    responses=responses(list[schemas.Answered | schemas.Unreadable], 400, 401, 404, 408, 413, 422, 500, 503),
    openapi_extra={"requestBody": schemas.FORM},
)
async def predict(
    request: Request,
    serving: Shared,
    top: Annotated[int, Query(ge=1, description="How many answers for each image.")] = 5,
    maps: Annotated[int, Query(ge=0, le=1, description="1: also say where the network looked.")] = 0,
    model: Annotated[str | None, Query(description="By its name; by default the first.")] = None,
) -> Response:
    """Say what is in images: for each file, in order, the most probable classes, or why it could not be read."""
    served = serving.named(model)
    with served.room.place(announced(request, serving.limits)) as place:
        async with Form(request, serving.limits, place).files() as files:
            work = (serving.predict(served, file, top, maps == 1) for file in files)
            entries = await cancel_on_disconnect(request, gather_all(work))
    return Response(json.dumps(entries, ensure_ascii=False, allow_nan=False), media_type="application/json")


@guarded.get(
    "/v2", response_model=schemas.Server, responses=responses(schemas.Server, 401), tags=["open inference protocol"]
)
async def server() -> Any:
    """What the server is."""
    return {"name": "inceptorch", "version": version("inceptorch"), "extensions": ["binary_tensor_data"]}


@guarded.get(
    "/v2/models/{name}",
    response_model=schemas.ModelOfServer,
    responses=responses(schemas.ModelOfServer, 401, 404),
    tags=["open inference protocol"],
)
async def model(name: str, serving: Shared) -> Any:
    """The tensors that a model takes and gives."""
    return inference.metadata(serving.named(name))


@guarded.get(
    "/v2/models/{name}/ready",
    response_model=schemas.ModelReady,
    responses=responses(schemas.ModelReady, 401, 404),
    tags=["open inference protocol"],
)
async def model_ready(name: str, serving: Shared) -> Any:
    """Whether a model can answer."""
    return {"name": serving.named(name).name, "ready": True}


@guarded.post(
    "/v2/models/{name}/infer",
    response_class=Response,
    responses=responses(schemas.Inferred, 400, 401, 404, 408, 413, 500, 503),
    openapi_extra={"requestBody": schemas.TENSORS},
    tags=["open inference protocol"],
)
async def infer(name: str, request: Request, serving: Shared) -> Response:
    """Give a model tensors: uint8 RGB crops [N, 3, S, S]."""
    served, limits = serving.named(name), serving.limits
    loop = asyncio.get_running_loop()
    with served.room.place(announced(request, limits)) as place:
        body = await read_body(request, limits)
        head = request.headers.get(inference.HEAD)
        readers = serving.for_large if head is None and len(body) > LONG else serving.decoders
        asked = await loop.run_in_executor(readers, inference.parse, body, head, served, limits)
        place.take(len(asked.crops) - 1)  # the first has its place already
        ones = await cancel_on_disconnect(request, gather_all(serving.answer(served, crop) for crop in asked.crops))
    content, length = await loop.run_in_executor(serving.decoders, inference.answer, asked, served, ones)
    if length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={inference.HEAD: str(length)})


def _bearer(token: str) -> Callable[..., Awaitable[None]]:
    """Refuse requests without this token, which takes as long for a wrong one as for a nearly right one."""

    async def check(
        given: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))],
    ) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode("latin-1"), token.encode()):
            raise HTTPException(
                401, "This server wants a token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )

    return check


def _page_file(path: Path) -> Callable[[], Awaitable[Response]]:
    """Answer with a file of the page, which may load nothing from elsewhere."""
    content = path.read_bytes()
    headers = {"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}

    async def answer() -> Response:
        return Response(content, media_type=PAGE_KINDS[path.suffix], headers=headers)

    return answer


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _impossible_value(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return JSONResponse({"error": f"Parameter {first['loc'][-1]}: {first['msg']}."}, 422)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # for the counters; nobody reads it


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": schemas.ERRORS[500]}, 500)
