"""Our server, on uvloop, on asyncio's own loop or on trio."""

import importlib.util

from ..works import find_work
from .settings import BACKLOG, HOST, Settings, not_offered, run_asyncio
from .web_routes import build, missing
from .web_serving import serve


def main() -> None:
    """Serve until the process is ended."""
    if importlib.util.find_spec("httpserver") is None:
        not_offered("httpserver is not installed")
    import httpserver as web

    settings = Settings.from_environ()
    work = find_work(settings.work)
    if (name := missing(web, work)) is not None:
        not_offered(f"httpserver has no {name} yet")
    app = build(web, work, settings.static_dir)
    if settings.loop == "trio":
        web.run_app(
            app,
            host=HOST,
            port=settings.port,
            backlog=BACKLOG,
            backend="trio",
            access_log=None,
            print=None,
        )
    else:
        run_asyncio(serve(web, app, settings.port), settings.loop)


if __name__ == "__main__":
    main()
