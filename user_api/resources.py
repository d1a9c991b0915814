"""The composition root: everything a process of UserAPI holds open, built once from its settings."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth import EndUserVerifier, ServiceVerifier
from shared.clock import Clock
from user_api.address_throttle import AddressThrottle
from user_api.cache import SessionStore
from user_api.clients.billing_api import BillingApi
from user_api.clients.pay_api import PayApi
from user_api.rights_cache import RightsCache
from user_api.settings import Settings
from user_api.user_service.access_tokens import AccessTokens
from user_api.user_service.commerce import Commerce
from user_api.user_service.database import Sessions, make_sessions, open_engine
from user_api.user_service.passwords import Passwords
from user_api.verified_tokens import VerifiedTokens


@dataclass(frozen=True, slots=True)
class Resources:
    """Shared by all requests of a process; close it when the process ends."""

    settings: Settings
    clock: Clock
    engine: AsyncEngine
    sessions: Sessions
    cache_redis: Redis
    session_redis: Redis
    session_store: SessionStore
    address_throttle: AddressThrottle
    passwords: Passwords
    access_tokens: AccessTokens
    end_users: VerifiedTokens
    services: ServiceVerifier
    pay_api: PayApi
    billing_api: BillingApi
    commerce: Commerce
    rights: RightsCache

    async def close(self) -> None:
        await self.rights.close()
        await self.pay_api.aclose()
        await self.billing_api.aclose()
        await self.cache_redis.aclose()
        await self.session_redis.aclose()
        await self.engine.dispose()


def open_resources(settings: Settings, clock: Clock | None = None) -> Resources:
    """Opens nothing on the network yet: every client connects when first used."""
    clock = clock or settings.clock()
    engine = open_engine(settings.database_url.get_secret_value(), pool_size=settings.database_pool_size)
    session_redis = _redis(
        settings.session_redis_url.get_secret_value(), timeout_seconds=settings.session_redis_seconds
    )
    tokens = AccessTokens(settings.jwt_keys_dir, clock)
    sessions = make_sessions(engine)
    budget = settings.cache_budget_seconds
    cache_redis = _redis(settings.cache_redis_url.get_secret_value(), timeout_seconds=budget)
    rights = RightsCache(cache_redis, sessions, clock, budget)
    pay_api = PayApi(settings.pay_api_url, settings.pay_api_token.get_secret_value())
    billing_api = BillingApi(settings.billing_api_url, settings.billing_api_token.get_secret_value())
    return Resources(
        settings=settings,
        clock=clock,
        engine=engine,
        sessions=sessions,
        cache_redis=cache_redis,
        session_redis=session_redis,
        session_store=SessionStore(session_redis, rights.refresh),
        address_throttle=AddressThrottle(session_redis),
        passwords=Passwords(),
        access_tokens=tokens,
        end_users=VerifiedTokens(
            EndUserVerifier("user-api", tokens.public_key, clock), tokens.public_key, clock
        ),
        services=ServiceVerifier(settings.accepted_credentials),
        pay_api=pay_api,
        billing_api=billing_api,
        commerce=Commerce(sessions, clock, pay_api, billing_api),
        rights=rights,
    )


def _redis(url: str, *, timeout_seconds: float) -> Redis:
    pool = BlockingConnectionPool.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        # One more try at once, for connections that died with an earlier server; never after a time-out.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        max_connections=64,
        timeout=timeout_seconds,
    )
    return Redis.from_pool(pool)
