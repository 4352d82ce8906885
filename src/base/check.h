// TESSERA_CHECK: states what must be true if the program has no bug; prints where and what, then aborts. Never for
// input.
#pragma once

namespace tessera {

[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace tessera

#define TESSERA_CHECK(condition) \
  (static_cast<bool>(condition) ? static_cast<void>(0) : ::tessera::check_failed(__FILE__, __LINE__, #condition))
