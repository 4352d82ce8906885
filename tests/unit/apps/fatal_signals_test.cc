#include "apps/fatal_signals.h"

#include <gtest/gtest.h>

#include <csignal>

#include "base/check.h"

namespace tessera::apps {
namespace {

// A sanitizer has its own word on the others.
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
