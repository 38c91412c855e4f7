-- Operators are certificates with a role, so that every RPC can be checked against one row and every audit entry
-- names a person. They are never deleted: the audit log keeps naming them.
create table operators (
    name        text    not null primary key,
    role        text    not null check (role in ('viewer', 'operator', 'approver', 'security', 'admin')),
    certificate text    not null check (length(certificate) = 64), -- SHA-256 of the DER, hex
    created_at  integer not null,
    -- One certificate is one person; also the index of the look-up that every RPC makes.
    constraint operators_certificate_key unique (certificate)
) strict;
