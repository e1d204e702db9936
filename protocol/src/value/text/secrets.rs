//! Text rules for secrets: one-time tokens, codes, JWTs, passwords and private keys, each bounded in bytes.

use super::{TextRule, sized};
use crate::limits;

super::texts! { secret
    /// A one-time token, 1 to 1024 bytes. Secret.
    Token TokenRule "token" |text| sized(text, limits::TOKEN_BYTES_MAX);
    /// A login code as issued or as typed. Secret.
    LoginCode LoginCodeRule "code" |text| sized(text, limits::NAME_BYTES_MAX);
    /// A pool's invite code, as issued or as typed. Secret.
    InviteCode InviteCodeRule "invitecode" |text| sized(text, limits::NAME_BYTES_MAX);
    /// An enrollment's approve code, as issued or as typed. Secret.
    ApproveCode ApproveCodeRule "approvecode" |text| sized(text, limits::NAME_BYTES_MAX);
    /// A signed JSON web token. Secret.
    Jwt JwtRule "jwt" |text| sized(text, limits::JWT_BYTES_MAX);
    /// The password of a PKCS#12 file, 1 to 1024 bytes. Secret.
    Password PasswordRule "password" |text| sized(text, limits::PASSWORD_BYTES_MAX);
    /// A private key in PEM. Secret.
    PrivateKey PrivateKeyRule "key" |text| sized(text, limits::PEM_BYTES_MAX);
    /// A PKCS#12 file in base64. Secret.
    Pfx PfxRule "pfx" |text| sized(text, limits::PFX_BYTES_MAX);
}
