"""The routes of the API and the files of the page."""

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from inceptorch.errors import did_you_mean
from inceptorch.serve import open_inference, schemas
from inceptorch.serve.body import chunks, in_time, read_images
from inceptorch.serve.schemas import errors
from inceptorch.serve.served_model import Parameters
from inceptorch.serve.service import ModelEndpoint, Service, cancel_on_disconnect, gather_all

PAGE = Path(__file__).parent / "page"
PAGE_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
LONG_JSON = 2**20  # bytes; longer JSON is parsed one at a time, as numbers take several times their text


def create_app(service: Service, token: str | None = None) -> FastAPI:
    """The application: public routes, and those that require the token, if there is one."""
    app = FastAPI(
        title="inceptorch",
        version=version("inceptorch"),
        description="Image classification and detection.",
        docs_url=None,  # these would fetch scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to an absolute address, which lacks the prefix of a proxy
    )
    app.state.service = service
    app.include_router(public)
    if token is None:
        app.include_router(private)
    else:
        app.include_router(private, dependencies=[Depends(_bearer(token))], responses=errors(401))
    for file in PAGE.iterdir():
        path = "/" if file.name == "index.html" else f"/{file.name}"
        app.add_api_route(path, _page_file(file), include_in_schema=False)
    for kind in (StarletteHTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _on_error)
    app.openapi()["components"]["schemas"] |= schemas.COMPONENTS
    return app


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOf = Annotated[Service, Depends(_service)]
public, private = APIRouter(), APIRouter()
PARAMETERS = ("top", "maps", "min_confidence", "model")  # of /predict
PROTOCOL: list[str | Enum] = ["open inference protocol"]


@public.get("/healthz", tags=["health"])
async def health() -> dict[str, str]:
    """Whether the server is alive. Until its models are warm, connections wait."""
    return {"status": "ok"}


@public.get("/readyz", responses=errors(503), tags=["health"])
async def readiness(service: ServiceOf) -> dict[str, str]:
    """Whether every model can answer. After a failure an image is tried."""
    await _require_ready(service, *service.models.values())
    return {"status": "ok"}


@public.get("/v2/health/live", tags=PROTOCOL)
async def live() -> dict[str, bool]:
    """Whether the server is alive."""
    return {"live": True}


@public.get("/v2/health/ready", responses=errors(503), tags=PROTOCOL)
async def ready(service: ServiceOf) -> dict[str, bool]:
    """Whether every model can answer. After a failure an image is tried."""
    await _require_ready(service, *service.models.values())
    return {"ready": True}


@private.get("/about", response_model=schemas.About)
async def about(service: ServiceOf) -> Any:
    """The models, and the limits of a request."""
    return {
        "models": [endpoint.about() for endpoint in service.models.values()],
        "limits": {"max_body": service.limits.max_body, "max_files": service.limits.max_images},
    }


@private.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(service: ServiceOf) -> Response:
    """Counters and histograms for Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@private.post(
    "/predict",
    response_class=Response,
    responses={
        200: {"model": list[schemas.Answered | schemas.Found | schemas.Unreadable]},
        **errors(400, 403, 404, 408, 413, 415, 422, 500, 503),
    },
    openapi_extra={"requestBody": schemas.PREDICT_BODY},
)
async def predict(
    request: Request,
    service: ServiceOf,
    top: Annotated[int | None, Query(ge=1, description="Number of classes per image, 5 by default.")] = None,
    maps: Annotated[
        int, Query(ge=0, le=1, description="1: add class activation maps, or of a detector the image's size.")
    ] = 0,
    min_confidence: Annotated[
        float | None,
        Query(
            ge=0,
            le=1,
            description="Probability below which an image is unknown; of a detector, score below which a box is left "
            "out, by default the model's own.",
        ),
    ] = None,
    model: Annotated[str | None, Query(description="Name of the model; by default the first one.")] = None,
) -> Response:
    """Classify images, or find boxes in them. For each file, in order: the most probable classes or the boxes, best
    first, or why it cannot be read."""
    if unknown := sorted(request.query_params.keys() - set(PARAMETERS)):
        raise HTTPException(422, f"There is no parameter {unknown[0][:100]!r}: {did_you_mean(unknown[0], PARAMETERS)}")
    endpoint, parameters = service.endpoint(model), Parameters(top, maps == 1, min_confidence)
    endpoint.model.check_parameters(parameters)
    with endpoint.admission.reserve() as reservation:
        images = await read_images(request, service.limits, reservation)
        async with service.answering(endpoint):
            work = (service.predict(endpoint, name, content, parameters) for name, content in images)
            entries = await cancel_on_disconnect(request, gather_all(work))
    return Response(json.dumps(entries, ensure_ascii=False, allow_nan=False), media_type="application/json")


@private.get("/v2", tags=PROTOCOL)
async def server_metadata() -> dict[str, str | list[str]]:
    """Name, version and extensions of the server."""
    return {"name": "inceptorch", "version": version("inceptorch"), "extensions": ["binary_tensor_data"]}


@private.get(f"/v2/models/{{name}}/versions/{open_inference.VERSION}", include_in_schema=False)
@private.get("/v2/models/{name}", response_model=schemas.ModelMetadata, responses=errors(404), tags=PROTOCOL)
async def model_metadata(name: str, service: ServiceOf) -> Any:
    """The inputs and outputs of a model. Its input "images" was named "pictures": that name works for one release."""
    return open_inference.metadata(service.endpoint(name))


@private.get(f"/v2/models/{{name}}/versions/{open_inference.VERSION}/ready", include_in_schema=False)
@private.get("/v2/models/{name}/ready", responses=errors(404, 503), tags=PROTOCOL)
async def model_ready(name: str, service: ServiceOf) -> dict[str, str | bool]:
    """Whether a model can answer. After a failure an image is tried."""
    await _require_ready(service, service.endpoint(name))
    return {"name": name, "ready": True}


@private.post(f"/v2/models/{{name}}/versions/{open_inference.VERSION}/infer", include_in_schema=False)
@private.post(
    "/v2/models/{name}/infer",
    response_class=Response,
    responses={200: {"model": schemas.InferResponse}, **errors(400, 403, 404, 408, 413, 415, 500, 503)},
    openapi_extra={"requestBody": schemas.INFER_BODY},
    tags=PROTOCOL,
)
async def infer(name: str, request: Request, service: ServiceOf) -> Response:
    """Run a model on tensors: uint8 RGB images [N, 3, H, W]."""
    open_inference.check_head(request.headers)
    endpoint, limits = service.endpoint(name), service.limits
    header = request.headers.get(open_inference.HEADER)
    max_size = limits.max_body if header else open_inference.max_json(endpoint, limits)
    loop = asyncio.get_running_loop()
    with endpoint.admission.reserve() as reservation:
        async with in_time(limits):
            body = b"".join([chunk async for chunk in chunks(request, max_size, reservation)])
        pool = service.one_at_a_time if header is None and len(body) > LONG_JSON else service.decoders
        async with service.answering(endpoint):
            inference = await loop.run_in_executor(pool, open_inference.parse, body, header, endpoint, limits)
            reservation.add(images=len(inference.images))
            work = gather_all(endpoint.run(endpoint.model.of_pixels(each)) for each in inference.images)
            results = await cancel_on_disconnect(request, work)
    content, length = await loop.run_in_executor(service.decoders, open_inference.respond, inference, endpoint, results)
    if length is None:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={open_inference.HEADER: str(length)})


async def _require_ready(service: Service, *endpoints: ModelEndpoint) -> None:
    for endpoint in endpoints:
        if not await service.is_ready(endpoint):
            raise HTTPException(503, f"The model {endpoint.name!r} failed to answer; the log says why.")


def _bearer(token: str) -> Callable[..., Awaitable[None]]:
    """Require this token; the comparison takes the same time for every wrong one."""

    async def check(
        given: Annotated[HTTPAuthorizationCredentials | None, Security(HTTPBearer(auto_error=False))],
    ) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode("latin-1"), token.encode()):
            message = "This server requires a token. Send the header Authorization: Bearer TOKEN"
            raise HTTPException(401, message, {"WWW-Authenticate": "Bearer"})

    return check


def _page_file(path: Path) -> Callable[[], Awaitable[Response]]:
    """A route for a file of the page, which may load nothing from elsewhere."""
    content = path.read_bytes()

    async def answer() -> Response:
        return Response(content, media_type=PAGE_TYPES[path.suffix], headers=PAGE_HEADERS)

    return answer


async def _on_error(request: Request, error: Exception) -> Response:
    match error:
        case StarletteHTTPException():
            return JSONResponse({"error": error.detail}, error.status_code, error.headers)
        case RequestValidationError():
            first = error.errors()[0]
            return JSONResponse({"error": f"Parameter {first['loc'][-1]}: {first['msg']}."}, 422)
        case ClientDisconnect():
            return Response(status_code=499)  # for the counters; nobody reads it
    return JSONResponse({"error": schemas.ERRORS[500]}, 500)
