"""The Celery application: a quorum queue on RabbitMQ, redbeat's leader lock in Redis, health and logs."""

from __future__ import annotations

from typing import Any, Final

from celery import Celery
from celery.signals import beat_init, setup_logging, worker_init
from kombu import Exchange, Queue

from scheduler import health
from scheduler.beat import schedule
from scheduler.settings import SchedulerSettings, settings
from shared import logs, tracing

QUEUE: Final = "scheduler"


def configuration(own: SchedulerSettings) -> dict[str, Any]:
    """Celery's settings."""
    exchange = Exchange(QUEUE, type="topic", durable=True)  # quorum queues delay through topic exchanges only
    return {
        "broker_url": own.celery_broker_url.get_secret_value(),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_heartbeat": 10,
        "broker_transport_options": {"confirm_publish": True},
        "task_default_queue": QUEUE,
        "task_default_queue_type": "quorum",
        "task_default_exchange": QUEUE,
        "task_default_exchange_type": "topic",
        "task_default_routing_key": QUEUE,
        "task_queues": [
            Queue(QUEUE, exchange, routing_key=QUEUE, queue_arguments={"x-queue-type": "quorum"})
        ],
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_pool": "threads",  # tasks wait for HTTP answers; one process then shows all its metrics
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "enable_utc": True,
        "timezone": "UTC",
        "imports": ["scheduler.tasks"],
        "beat_schedule": schedule(own.beat_tick_seconds),
        "beat_scheduler": "redbeat.RedBeatScheduler",
        # A standby looks for the leader's lock once per loop: with these it takes over within about 12 s.
        "beat_max_loop_interval": 2,
        "redbeat_redis_url": own.redbeat_redis_url.get_secret_value(),
        "redbeat_lock_timeout": 10,
        "redbeat_key_prefix": "redbeat:",
    }


settings().refuse_unsafe()  # before anything connects
app = Celery("scheduler")
app.config_from_object(configuration(settings()))


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure(settings().service_name, settings().log_level)
    tracing.start(settings().service_name)


@worker_init.connect
def _serve_worker_health(**_: Any) -> None:
    health.serve_for(app, settings())


@beat_init.connect
def _serve_beat_health(**_: Any) -> None:
    health.serve_for(app, settings())
