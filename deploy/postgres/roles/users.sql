-- Roles of the database `users` and what each may do. Run by a superuser inside it; safe to run again.
-- psql variables: a password per role, named <role>_password.
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['users_owner', 'user_api', 'users_ro']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE users_owner PASSWORD :'users_owner_password';
ALTER ROLE user_api PASSWORD :'user_api_password';
ALTER ROLE users_ro PASSWORD :'users_ro_password';
ALTER ROLE user_api SET lock_timeout = '3s';
ALTER ROLE user_api SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE user_api SET statement_timeout = '10s';
ALTER ROLE users_ro SET lock_timeout = '3s';
ALTER ROLE users_ro SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE users_ro SET statement_timeout = '10s';

ALTER DATABASE :"DBNAME" OWNER TO users_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO users_owner, user_api, users_ro;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO users_owner, user_api, users_ro;

ALTER DEFAULT PRIVILEGES FOR ROLE users_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO user_api;
ALTER DEFAULT PRIVILEGES FOR ROLE users_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO user_api;
ALTER DEFAULT PRIVILEGES FOR ROLE users_owner IN SCHEMA public GRANT SELECT ON TABLES TO users_ro;
