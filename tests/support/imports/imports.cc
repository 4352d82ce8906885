#include "tests/support/imports/imports.h"

#include <unistd.h>

namespace tessera::test_support {

int parent_as_the_library_sees_it() { return ::getppid(); }

int parent_by_address() {
  pid_t (*volatile ask)() = &::getppid;
  return ask();
}

}  // namespace tessera::test_support
