// What is learned of the time that runs take longer beside others.
#include "sched/co_run.h"

#include <gtest/gtest.h>

#include <random>

namespace tessera::sched {
namespace {

TEST(CoRun, KnowsNothingAtFirst) { EXPECT_EQ(CoRun().factor(1), 1); }

TEST(CoRun, FindsHowMuchLongerRunsTake) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> busy(0, 0.9);
  std::normal_distribution<double> noise(0, 0.02);
  CoRun co_run;
  for (int i = 0; i < 1000; ++i) {
    const double now = busy(random);
    co_run.observe(0, now, (1 + 0.3 * now) * (1 + noise(random)));
  }
  EXPECT_NEAR(co_run.factor(0.5), 1.15, 0.02);
  EXPECT_NEAR(co_run.typical(), 0.45, 0.05);
}

// Runs in small slices have more others beside them. That their prediction is off tells nothing of these.
TEST(CoRun, APredictionThatIsOffForOneSizeIsNotTheOthersWork) {
  CoRun co_run;
  for (int i = 0; i < 1000; ++i) {
    const double wobble = 0.05 * (i % 3);
    co_run.observe(0, 0.8 + wobble, 1.5);
    co_run.observe(1, 0.2 + wobble, 1.0);
  }
  EXPECT_NEAR(co_run.factor(1), 1, 0.01);
}

TEST(CoRun, WhatNeverVariesTellsNothing) {
  CoRun co_run;
  for (int i = 0; i < 1000; ++i) {
    co_run.observe(0, 0.5, 1.2 + 0.01 * (i % 2));
  }
  EXPECT_NEAR(co_run.factor(1), 1, 0.01);
}

TEST(CoRun, ARunThatWasHeldUpMovesLittle) {
  CoRun co_run;
  for (int i = 0; i < 500; ++i) {
    co_run.observe(0, 0.1 * (i % 10), 1);
  }
  co_run.observe(0, 0.9, 1e6);
  EXPECT_LT(co_run.factor(1), 1.15);
}

}  // namespace
}  // namespace tessera::sched
