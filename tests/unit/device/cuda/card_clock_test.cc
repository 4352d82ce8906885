#include "device/cuda/card_clock.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "tests/support/cuda/fake_card_clock.h"
#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device {
namespace {

using std::chrono::microseconds;
using test::FakeCuda;

TEST(ClockMapTest, PlacesATimeByTheReadingsAroundIt) {
  // The host's clock gains 10 ns a microsecond of the card's at first, then none.
  const ClockMap map(std::vector<ClockReading>{
      {1'000, 500, microseconds(2)}, {2'000, 510, microseconds(2)}, {3'000, 510, microseconds(2)}});
  EXPECT_DOUBLE_EQ(map.host_ns(1'000), 1'500);
  EXPECT_DOUBLE_EQ(map.host_ns(1'500), 2'005);
  EXPECT_DOUBLE_EQ(map.host_ns(2'000), 2'510);
  EXPECT_DOUBLE_EQ(map.host_ns(2'500), 3'010);
  EXPECT_DOUBLE_EQ(map.host_ns(4'000), 4'510) << "as between the last two";
  EXPECT_DOUBLE_EQ(map.host_ns(500), 995) << "as between the first two";
  EXPECT_DOUBLE_EQ(map.drift_us_per_s(), 10.0 / 2'000 * 1e6);
}

TEST(ClockMapTest, OneReadingIsAnOffset) {
  const ClockMap map(std::vector<ClockReading>{{1'000, 500, microseconds(2)}});
  EXPECT_DOUBLE_EQ(map.host_ns(7'000), 7'500);
  EXPECT_DOUBLE_EQ(map.drift_us_per_s(), 0);
}

TEST(ClockMapTest, AReadingThatTookLongIsLeftOut) {
  const ClockMap map(std::vector<ClockReading>{
      {1'000, 500, microseconds(2)}, {2'000, 9'000, microseconds(30)}, {3'000, 500, microseconds(2)}});
  EXPECT_EQ(map.size(), 2U);
  EXPECT_DOUBLE_EQ(map.host_ns(2'000), 2'500);
  EXPECT_EQ(map.round_trip(), microseconds(2));
}

class CardClockTest : public testing::Test {
 protected:
  CardClockTest() {
    gpu_ = *Gpu::open(driver_, 0);
    streams_ = *gpu_->make_streams(1);
  }

  FakeCuda cuda_;
  const Driver driver_ = FakeCuda::table();
  std::shared_ptr<Gpu> gpu_;
  std::vector<OwnedStream> streams_;
};

TEST_F(CardClockTest, FindsHowFarTheCardsClockIsOff) {
  constexpr std::uint64_t kOff = 5'000'000'000;
  test::add_card_clock(cuda_, kOff);
  const auto clock = CardClock::make(gpu_, streams_.front().get());
  ASSERT_TRUE(clock.ok()) << clock.error().message();
  ASSERT_TRUE((*clock)->read().ok());
  ASSERT_TRUE((*clock)->read().ok());
  ASSERT_EQ((*clock)->readings().size(), 2U);
  for (const ClockReading& reading : (*clock)->readings()) {
    EXPECT_NEAR(reading.offset_ns, -static_cast<double>(kOff), static_cast<double>(reading.round_trip.count()));
    EXPECT_GT(reading.round_trip, Duration{0});
  }
  (*clock)->forget();
  EXPECT_TRUE((*clock)->readings().empty());
}

TEST_F(CardClockTest, ErrorsOfTheDriverAreTold) {
  test::add_card_clock(cuda_, 0);
  cuda_.fail("cuLibraryLoadData", CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(CardClock::make(gpu_, streams_.front().get()).error().code(), ErrorCode::kOutOfMemory);
  const auto clock = CardClock::make(gpu_, streams_.front().get());
  ASSERT_TRUE(clock.ok());
  cuda_.fail("cuLaunchKernel", CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ((*clock)->read().error().code(), ErrorCode::kOutOfMemory);
  EXPECT_TRUE((*clock)->read().ok());
}

}  // namespace
}  // namespace tessera::device
