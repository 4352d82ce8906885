#include "sched/profile.h"

#include <gtest/gtest.h>

#include <random>

namespace tessera::sched {
namespace {

using namespace std::chrono_literals;

TEST(Profile, AnEmptyOneKnowsNothing) {
  const Profile profile;
  EXPECT_EQ(profile.latency(1, 1), std::nullopt);
  EXPECT_EQ(profile.margin(), 0ns);
  EXPECT_FALSE(profile.confident());
}

TEST(Profile, KnownPointsAreReadBackAndThoseBetweenLieBetween) {
  const Profile profile({{1, 1, 10ms}, {1, 4, 4ms}, {8, 1, 60ms}, {8, 4, 20ms}});
  EXPECT_NEAR(static_cast<double>(profile.latency(1, 4)->count()), 4e6, 10);
  EXPECT_NEAR(static_cast<double>(profile.latency(8, 1)->count()), 60e6, 100);
  EXPECT_LT(*profile.latency(1, 2), 10ms);
  EXPECT_GT(*profile.latency(1, 2), 4ms);
  EXPECT_LT(*profile.latency(4, 2), *profile.latency(8, 2));
}

TEST(Profile, OnePointIsEnoughToPredictEverything) {
  const Profile profile({{1, 2, 10ms}});
  EXPECT_GT(*profile.latency(1, 1), 10ms);
  EXPECT_LE(*profile.latency(1, 1), 20ms + 1us) << "not worse than proportional";
  EXPECT_LT(*profile.latency(1, 8), 10ms);
  EXPECT_GE(*profile.latency(1, 8) + 1us, 2500us);
  EXPECT_GT(*profile.latency(8, 2), 10ms);
  EXPECT_LE(*profile.latency(8, 2), 80ms + 1us);
}

TEST(Profile, IsMonotoneWhateverWasMeasured) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<ProfilePoint> points;
    for (std::uint64_t i = 0, n = 1 + random() % 8; i < n; ++i) {
      points.push_back({static_cast<std::int32_t>(1 + random() % 16), static_cast<std::int32_t>(1 + random() % 16),
                        Duration(1 + random() % 10'000'000)});
    }
    Profile profile(points);
    for (std::uint64_t i = 0, n = random() % 20; i < n; ++i) {
      profile.observe(static_cast<std::int32_t>(1 + random() % 16), static_cast<std::int32_t>(1 + random() % 16),
                      Duration(1 + random() % 10'000'000));
    }
    for (std::int32_t bucket = 1; bucket <= 32; ++bucket) {
      for (std::int32_t processors = 1; processors <= 32; ++processors) {
        const Duration latency = *profile.latency(bucket, processors);
        ASSERT_GE(latency, 0ns) << "seed " << seed;
        // A nanosecond of rounding is allowed.
        ASSERT_LE(latency, *profile.latency(bucket + 1, processors) + 1us + latency / 1000000) << "seed " << seed;
        ASSERT_GE(latency + 1us + latency / 1000000, *profile.latency(bucket, processors + 1)) << "seed " << seed;
      }
    }
  }
}

TEST(Profile, FollowsWhatIsObserved) {
  Profile profile({{1, 1, 10ms}, {1, 2, 6ms}});
  for (int i = 0; i < 40; ++i) {
    profile.observe(1, 1, 15ms);
  }
  EXPECT_NEAR(static_cast<double>(profile.latency(1, 1)->count()), 15e6, 0.5e6);
}

TEST(Profile, AMeasuredButUnseenNeighbourIsScaledAlong) {
  Profile profile({{1, 1, 10ms}, {1, 2, 6ms}, {8, 1, 70ms}});
  for (int i = 0; i < 20; ++i) {
    profile.observe(1, 1, 15ms);
  }
  EXPECT_GT(*profile.latency(1, 2), 8ms);
  EXPECT_GT(*profile.latency(8, 1), 90ms);
  const Duration unseen = *profile.latency(8, 1);
  for (int i = 0; i < 20; ++i) {
    profile.observe(8, 1, 50ms);
  }
  EXPECT_LT(*profile.latency(8, 1), 60ms) << "what is seen outweighs what was inferred: " << unseen.count();
}

TEST(Profile, OneOutlierMovesAPredictionLittle) {
  Profile profile({{1, 1, 10ms}});
  for (int i = 0; i < 20; ++i) {
    profile.observe(1, 1, 10ms);
  }
  profile.observe(1, 1, 10s);
  EXPECT_LT(*profile.latency(1, 1), 14ms);
}

TEST(Profile, AFirstRunOfItsSizeIsNotBelievedWhateverItTook) {
  Profile profile({{1, 1, 10ms}, {1, 4, 4ms}, {4, 4, 12ms}});
  profile.observe(2, 4, 1us);
  EXPECT_GT(*profile.latency(2, 4), 1ms);
  EXPECT_GT(*profile.latency(4, 4), 6ms);
  for (int i = 0; i < 20; ++i) {
    profile.observe(2, 4, 7ms);
  }
  EXPECT_NEAR(static_cast<double>(profile.latency(2, 4)->count()), 7e6, 0.5e6);
}

TEST(Profile, TheMarginIsTheTailOfWhatRunsTookBeyondThePrediction) {
  Profile profile({{1, 1, 10ms}});
  for (int i = 0; i < 256; ++i) {
    profile.observe(1, 1, i % 20 == 0 ? 12ms : 10ms, 100us);
  }
  EXPECT_GT(profile.margin(), 1500us);
  EXPECT_LT(profile.margin(), 2500us);
  EXPECT_TRUE(profile.confident());
}

TEST(Profile, CorrectedPointsCanBeKeptAndReadAgain) {
  Profile profile({{1, 1, 10ms}});
  profile.observe(4, 2, 9ms);
  const Profile again(profile.points());
  EXPECT_EQ(again.points().size(), 2U);
  EXPECT_NEAR(static_cast<double>(again.latency(4, 2)->count()), 9e6, 10);
}

TEST(Profile, TheVersionChangesWithWhatIsPredictedAndNotOtherwise) {
  Profile profile({{1, 1, 10ms}});
  for (int i = 0; i < 50; ++i) {
    profile.observe(1, 1, 10ms);
  }
  const auto before = profile.version();
  profile.observe(1, 1, 10ms);
  EXPECT_EQ(profile.version(), before);
  profile.observe(1, 1, 20ms);
  EXPECT_NE(profile.version(), before);
}

TEST(Profile, IsNeverNothingWhateverWasObserved) {
  Profile profile({{1, 1, 10ms}, {1, 8, 2ms}, {4, 8, 3ms}});
  for (int i = 0; i < 100; ++i) {
    profile.observe(1, 8, 0ns);
  }
  for (const std::int32_t processors : {1, 2, 8, 64}) {
    EXPECT_GE(*profile.latency(1, processors), 1ns);
    EXPECT_GE(*profile.latency(2, processors), 1ns);
  }
}

TEST(Profile, ErrorsAreTakenAgainstWhatReadersWereTold) {
  Profile profile({{1, 1, 10ms}});
  for (int i = 0; i < 16; ++i) {
    profile.observe(1, 1, 10ms);
  }
  EXPECT_EQ(profile.margin(), 0ns);
  const std::uint32_t told = profile.version();
  // Too little to tell readers anew; the cell itself moves almost all the way.
  for (int i = 0; i < 64; ++i) {
    profile.observe(1, 1, 10'150us);
  }
  EXPECT_EQ(profile.version(), told + 1) << "the margin's";
  EXPECT_NEAR(static_cast<double>(profile.margin().count()), 150e3, 1e3);
}

}  // namespace
}  // namespace tessera::sched
