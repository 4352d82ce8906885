// Timelines of runs of any length.
#include "loadgen/timeline.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tessera::loadgen {
namespace {

using namespace std::chrono_literals;

TEST(Timelines, StepsAreJoinedAsARunGoesOnAndNothingIsLost) {
  Timelines lines(2);
  for (int i = 0; i < 2000; ++i) {
    Moment& moment = lines.at(0, i * 100ms + 99ms);
    ++moment.offered;
    moment.answered += 2;
    moment.met += 3;
    moment.failed += 4;
    moment.slowest = std::max<Duration>(moment.slowest, 1us * i);
    EXPECT_EQ(lines.step(), i < 600 ? 100ms : i < 1200 ? 200ms : 400ms) << i;
  }
  lines.cover(200s);
  for (std::size_t tenant = 0; tenant < 2; ++tenant) {
    ASSERT_EQ(lines.of(tenant).size(), 500U);
    for (std::size_t i = 0; i < 500; ++i) {
      const Moment& moment = lines.of(tenant)[i];
      EXPECT_EQ(moment.offered, tenant == 0 ? 4U : 0U);
      EXPECT_EQ(moment.answered, 2 * moment.offered);
      EXPECT_EQ(moment.met, 3 * moment.offered);
      EXPECT_EQ(moment.failed, 4 * moment.offered);
      EXPECT_EQ(moment.slowest, Duration(tenant == 0 ? 1000 * (4 * i + 3) : 0));
    }
  }
}

TEST(Timelines, WhatIsLateInTheScheduleStillFindsItsStep) {
  Timelines lines(1);
  ++lines.at(0, 61s).offered;
  ++lines.at(0, 100ms).offered;
  ++lines.at(0, 0s).offered;
  lines.cover(61s + 1ns);
  EXPECT_EQ(lines.step(), 200ms);
  EXPECT_EQ(lines.of(0).size(), 306U);
  EXPECT_EQ(lines.of(0)[0].offered, 2U);
  EXPECT_EQ(lines.of(0)[305].offered, 1U);
}

TEST(Timelines, CoversAnExactNumberOfSteps) {
  Timelines lines(1);
  lines.cover(60s);
  EXPECT_EQ(lines.of(0).size(), 600U);
  EXPECT_EQ(lines.step(), 100ms);
  lines.cover(60s + 1ns);
  EXPECT_EQ(lines.step(), 200ms);
  EXPECT_EQ(lines.of(0).size(), 301U);
}

}  // namespace
}  // namespace tessera::loadgen
