"""The WSGI application of admin-panel."""

from __future__ import annotations

import logging
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from admin_panel.settings import settings
from shared import logs, tracing
from shared.settings import halting_gunicorn

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "admin_panel.config.settings")
with halting_gunicorn():
    settings().refuse_unsafe()
logs.configure(settings().service_name, settings().log_level)
# Refusals are told once, by the access line; Django's own line would repeat the path.
logging.getLogger("django.request").setLevel(logging.ERROR)
tracing.start(settings().service_name)
tracing.watch_django()

application = get_wsgi_application()
_ = get_resolver().url_patterns  # a route that cannot be loaded stops the process, not the first request
