// Whether bytes are UTF-8 text.
#pragma once

#include <string_view>

namespace tessera::model {

// As RFC 3629 says: no surrogates, no overlong forms, nothing beyond U+10FFFF.
bool is_utf8(std::string_view bytes);

}  // namespace tessera::model
