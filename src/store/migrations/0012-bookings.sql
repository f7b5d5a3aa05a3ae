-- Bookings that have not ended. The record is struct booking_record of tenant/tenant.h.
CREATE TABLE bookings (
    subject BLOB PRIMARY KEY,
    record TEXT NOT NULL
);
