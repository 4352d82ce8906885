#include "apps/fatal_signals.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>

#include "base/check.h"

namespace tessera::apps {
namespace {

// A sanitizer has its own word on the others.
#ifndef TESSERA_SANITIZED
TEST(FatalSignalsDeathTest, AJumpToNowhereShowsWhatTheStackHas) {
  EXPECT_EXIT(
      {
        report_fatal_signals();
        volatile std::uintptr_t nowhere = 16;
        reinterpret_cast<void (*)()>(nowhere)();  // NOLINT: that is the fault
      },
      testing::KilledBySignal(SIGSEGV),
      "fault of its own: Segmentation fault(.|\n)*nothing \\[0x10\\](.|\n)*cannot be followed(.|\n)*"
      "unit_apps\\(\\+0x[0-9a-f]+\\)");
}
#endif

TEST(FatalSignalsDeathTest, AFailedCheckSaysWhereItWasAndStillAborts) {
  EXPECT_EXIT(
      {
        report_fatal_signals();
        TESSERA_CHECK(1 + 1 == 3);
      },
      testing::KilledBySignal(SIGABRT), "1 \\+ 1 == 3(.|\n)*fault of its own: Aborted(.|\n)*unit_apps");
}

TEST(FatalSignalsDeathTest, WhatSomebodyHandlesIsLeftAlone) {
  EXPECT_EXIT(
      {
        std::signal(SIGFPE, [](int) { std::_Exit(7); });
        report_fatal_signals();
        std::raise(SIGFPE);
      },
      testing::ExitedWithCode(7), "^$");
}

}  // namespace
}  // namespace tessera::apps
