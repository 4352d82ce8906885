// A loaded library's imports, replaced and found.
#include "base/imports.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "tests/support/imports/imports.h"

namespace tessera {
namespace {

using test_support::parent_as_the_library_sees_it;
using test_support::parent_by_address;

pid_t replaced() { return -7; }

TEST(Imports, AreReplacedInThatLibraryAlone) {
  ASSERT_EQ(parent_as_the_library_sees_it(), ::getppid()) << "bound before it is replaced";
  const auto library = LoadedLibrary::find("libtest_imports.so");
  ASSERT_TRUE(library.ok()) << library.error().message();
  const auto original = reinterpret_cast<pid_t (*)()>(library->imported("getppid"));
  ASSERT_NE(original, nullptr);
  const std::array replacements{ImportReplacement{"getppid", reinterpret_cast<void*>(&replaced)},
                                ImportReplacement{"no_such_function", reinterpret_cast<void*>(&replaced)}};
  const auto changed = library->replace(replacements);
  ASSERT_TRUE(changed.ok()) << changed.error().message();
  EXPECT_GE(*changed, 1U);
  EXPECT_EQ(parent_as_the_library_sees_it(), -7);
  EXPECT_EQ(parent_by_address(), -7);
  EXPECT_NE(::getppid(), -7) << "ours is another";
  EXPECT_EQ(original(), ::getppid());
  EXPECT_EQ(*library->replace(replacements), 0U) << "done already";
}

TEST(Imports, NoSuchLibrary) { EXPECT_EQ(LoadedLibrary::find("libnone.so").error().code(), ErrorCode::kNotFound); }

TEST(Imports, NoSuchImport) {
  const auto library = LoadedLibrary::find("libtest_imports.so");
  ASSERT_TRUE(library.ok());
  EXPECT_EQ(library->imported("no_such_function"), nullptr);
}

}  // namespace
}  // namespace tessera
