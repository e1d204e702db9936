//! The limits of the contract, each with its reason. No input from outside is read without one of them.

/// The largest frame in bytes, header included, unless the configuration says otherwise.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// The largest answer in JSON, as a multiple of the largest frame: names of members and hexadecimal keys make it longer
/// than the compact form, which fits a frame.
pub const JSON_ANSWER_TIMES: usize = 4;

/// The allocation limit of decoding one frame, as a multiple of the frame: decoded values are larger than their bytes
/// (a list of short strings about eight times), so the bound on memory must be wider than the bound on the frame.
pub const DECODE_BYTES_MAX: usize = 16 * FRAME_BYTES_MAX;

/// Bytes of a page: it stops here, so that it fits a frame whatever its items hold.
pub const PAGE_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;

/// Records that one page reads: it stops here, so that a filter that matches nothing stays cheap.
pub const PAGE_SCAN_MAX: usize = 1_000;

/// Items of a page where the request names no limit.
pub const PAGE_ITEMS_DEFAULT: u16 = 100;

/// Items of a page at most.
pub const PAGE_ITEMS_MAX: u16 = 1000;

/// Text of a JSON object (`extra`, claims, audit).
pub const JSON_BYTES_MAX: usize = 64 << 10;

/// Levels of a JSON object; parsers in other languages recurse.
pub const JSON_DEPTH_MAX: usize = 32;

/// A callsign, an origin, and any other name of a record.
pub const NAME_BYTES_MAX: usize = 255;

/// A role, the kind of an event, a list: words that permissions and keys are made of.
pub const WORD_BYTES_MAX: usize = 63;

/// A one-time token.
pub const TOKEN_BYTES_MAX: usize = 1024;

/// A JWT as it is handed in: claims of the largest size, signed and in base64.
pub const JWT_BYTES_MAX: usize = 128 << 10;

/// The text of a certificate's serial number: ours have 40 digits and 19 colons.
pub const SERIAL_BYTES_MAX: usize = 96;

/// The password of a PKCS#12 file.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// A signing request or a private key in PEM: four times what the largest RSA key takes.
pub const PEM_BYTES_MAX: usize = 32 << 10;

/// A PKCS#12 file in base64: a key, its certificate, and the certificates of an authority that was brought along.
pub const PFX_BYTES_MAX: usize = 256 << 10;

/// Roles given in one request: one unit of work touches a bounded number of keys.
pub const ROLES_MAX: usize = 64;

/// Fields of a pool that can be cleared.
pub const POOL_FIELDS: usize = 3;

/// Fields of an event that can be cleared.
pub const EVENT_FIELDS: usize = 5;

/// Pools of an event: every decision looks at all of them.
pub const EVENT_POOLS_MAX: usize = 32;

/// Roles of an event's pool.
pub const POOL_ROLES_MAX: usize = 16;

/// Minutes that an event lasts: a leap year.
pub const EVENT_MINUTES_MAX: u32 = 366 * 24 * 60;

/// Modes of a course: all there are.
pub const COURSE_MODES: usize = 4;

/// A program's own name for a person.
pub const EXTERNAL_KEY_CHARACTERS_MAX: usize = 255;

/// Units of one bulk write, such as pairs to link: each may have an answer of its own, and all of those must fit a
/// frame.
pub const BULK_UNITS_MAX: usize = 10_000;

/// Bytes of all external keys of one bulk write, which come again in its answer.
pub const BULK_KEY_BYTES_MAX: usize = FRAME_BYTES_MAX * 3 / 8;

/// Units of one transaction: the writer runs them at once.
pub const TRANSACTION_UNITS_MAX: usize = 32;

/// Courses and course roles of one program enrollment: they are one record.
pub const PROGRAM_COURSES_MAX: usize = 256;

/// Linked program enrollments that give somebody the same course or role: they stand in one record.
pub const COURSE_GIVERS_MAX: usize = 256;

/// Course roles in one answer.
pub const COURSE_ROLES_MAX: usize = 1_000;

/// Requests in flight on one connection: the daemon reads no further until answers have left.
pub const IN_FLIGHT_MAX: usize = 256;

/// Streams of one connection: each looks at the state after every commit. Our client has one per connection.
pub const STREAMS_MAX: usize = 4;
