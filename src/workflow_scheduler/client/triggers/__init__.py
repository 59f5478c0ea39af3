"""One class for each trigger type, made from the installed types by `make docs`."""

from workflow_scheduler.client.triggers.amqp import Amqp
from workflow_scheduler.client.triggers.cron import Cron
from workflow_scheduler.client.triggers.email import Email
from workflow_scheduler.client.triggers.event import Event
from workflow_scheduler.client.triggers.file import File
from workflow_scheduler.client.triggers.gcs import Gcs
from workflow_scheduler.client.triggers.github import GitHub
from workflow_scheduler.client.triggers.google_calendar import GoogleCalendar
from workflow_scheduler.client.triggers.google_pubsub import GooglePubsub
from workflow_scheduler.client.triggers.http_poll import HttpPoll
from workflow_scheduler.client.triggers.interval import Interval
from workflow_scheduler.client.triggers.kafka import Kafka
from workflow_scheduler.client.triggers.manual import Manual
from workflow_scheduler.client.triggers.mqtt import Mqtt
from workflow_scheduler.client.triggers.nats import Nats
from workflow_scheduler.client.triggers.once import Once
from workflow_scheduler.client.triggers.redis_stream import RedisStream
from workflow_scheduler.client.triggers.rrule import RRule
from workflow_scheduler.client.triggers.s3 import S3
from workflow_scheduler.client.triggers.slack import Slack
from workflow_scheduler.client.triggers.sns_sqs import SnsSqs
from workflow_scheduler.client.triggers.sql_poll import SqlPoll
from workflow_scheduler.client.triggers.sse import Sse
from workflow_scheduler.client.triggers.webhook import Webhook
from workflow_scheduler.client.triggers.websocket import Websocket
from workflow_scheduler.client.triggers.workflow import Upstream

__all__ = (
    "S3",
    "Amqp",
    "Cron",
    "Email",
    "Event",
    "File",
    "Gcs",
    "GitHub",
    "GoogleCalendar",
    "GooglePubsub",
    "HttpPoll",
    "Interval",
    "Kafka",
    "Manual",
    "Mqtt",
    "Nats",
    "Once",
    "RRule",
    "RedisStream",
    "Slack",
    "SnsSqs",
    "SqlPoll",
    "Sse",
    "Upstream",
    "Webhook",
    "Websocket",
)
