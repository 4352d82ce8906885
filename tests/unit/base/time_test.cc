#include "base/time.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace tessera {
namespace {

using std::chrono::seconds;

TEST(Time, AddingSaturatesAtNever) {
  const TimePoint at(seconds(5));
  EXPECT_EQ(add_saturating(at, seconds(3)), TimePoint(seconds(8)));
  EXPECT_EQ(add_saturating(at, kForever), kNever);
  EXPECT_EQ(add_saturating(kNever, seconds(1)), kNever);
  EXPECT_EQ(add_saturating(kNever, Duration::zero()), kNever);
  EXPECT_EQ(add_saturating(at, seconds(-3)), TimePoint(seconds(2)));
}

TEST(Time, TheClockNeverGoesBack) {
  TimePoint before = now();
  for (int i = 0; i < 1000; ++i) {
    const TimePoint after = now();
    ASSERT_GE(after, before);
    before = after;
  }
}

}  // namespace
}  // namespace tessera
