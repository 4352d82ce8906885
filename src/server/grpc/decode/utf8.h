// Whether bytes are UTF-8, as protobuf demands of its strings.
#pragma once

#include <string_view>

namespace tessera::server {

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace tessera::server
