"""serve.py ADDRESS PORT MODULE:APPLICATION THREADS [its arguments]: an API over HTTP with keep-alive."""
import importlib
import sys

address, port, target, threads = sys.argv[1:5]
module, name = target.split(':')
sys.argv = [module] + sys.argv[5:]
application = getattr(importlib.import_module(module), name)

import waitress     # noqa: E402  after the application, which chooses its concurrency first

waitress.serve(application, host=address, port=int(port), threads=int(threads),
               connection_limit=500, channel_timeout=300, clear_untrusted_proxy_headers=True)
