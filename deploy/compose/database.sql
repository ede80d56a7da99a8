-- The account that owns the tables; no superuser, so that the policies of rows bind it.
CREATE ROLE syncd LOGIN PASSWORD 'of-this-demo';
CREATE DATABASE syncd OWNER syncd;
