// A shared library that calls something of the C library, for tests of base/imports.h.
#pragma once

namespace tessera::test_support {

// What the library's call of getppid() returns.
int parent_as_the_library_sees_it();

// The same by way of the function's address, which the library has from a table of data.
int parent_by_address();

}  // namespace tessera::test_support
