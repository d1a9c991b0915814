-- Roles of the database `billing` and what each may do. Run by a superuser inside it; safe to run again.
-- psql variables: a password per role, named <role>_password.
SELECT format('CREATE ROLE %I LOGIN', name) FROM unnest(ARRAY['billing_owner', 'billing_api', 'billing_ro', 'billing_commands']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec

ALTER ROLE billing_owner PASSWORD :'billing_owner_password';
ALTER ROLE billing_api PASSWORD :'billing_api_password';
ALTER ROLE billing_ro PASSWORD :'billing_ro_password';
ALTER ROLE billing_commands PASSWORD :'billing_commands_password';
ALTER ROLE billing_api SET lock_timeout = '3s';
ALTER ROLE billing_api SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE billing_api SET statement_timeout = '10s';
ALTER ROLE billing_ro SET lock_timeout = '3s';
ALTER ROLE billing_ro SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE billing_ro SET statement_timeout = '10s';
ALTER ROLE billing_commands SET lock_timeout = '3s';
ALTER ROLE billing_commands SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE billing_commands SET statement_timeout = '10s';

ALTER DATABASE :"DBNAME" OWNER TO billing_owner;
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO billing_owner, billing_api, billing_ro, billing_commands;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO billing_owner, billing_api, billing_ro, billing_commands;

ALTER DEFAULT PRIVILEGES FOR ROLE billing_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO billing_api;
ALTER DEFAULT PRIVILEGES FOR ROLE billing_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO billing_api;
ALTER DEFAULT PRIVILEGES FOR ROLE billing_owner IN SCHEMA public GRANT SELECT ON TABLES TO billing_ro;
ALTER DEFAULT PRIVILEGES FOR ROLE billing_owner IN SCHEMA public GRANT SELECT, INSERT, UPDATE ON TABLES TO billing_commands;
ALTER DEFAULT PRIVILEGES FOR ROLE billing_owner IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO billing_commands;
