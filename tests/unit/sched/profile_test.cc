#include "sched/profile.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

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

TEST(Profile, WhatIsKnownIsAsItIsAndTheRestIsMonotone) {
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
    std::set<std::int32_t> known;
    for (const ProfilePoint& point : profile.points()) {
      known.insert(point.processors);
    }
    for (std::int32_t bucket = 1; bucket <= 32; ++bucket) {
      for (std::int32_t processors = 1; processors <= 32; ++processors) {
        const Duration latency = *profile.latency(bucket, processors);
        ASSERT_GE(latency, 0ns) << "seed " << seed;
        // A nanosecond of rounding is allowed.
        ASSERT_LE(latency, *profile.latency(bucket + 1, processors) + 1us + latency / 1000000) << "seed " << seed;
        if (known.count(processors) == 0 && known.count(processors + 1) == 0) {
          ASSERT_GE(latency + 1us + latency / 1000000, *profile.latency(bucket, processors + 1)) << "seed " << seed;
        }
      }
    }
  }
}

TEST(Profile, AKnownSliceMayBeSlowerThanASmallerOne) {
  Profile profile({{1, 16, 1400us}, {1, 20, 1800us}, {1, 32, 900us}, {2, 16, 2100us}});
  EXPECT_NEAR(static_cast<double>(profile.latency(1, 20)->count()), 1.8e6, 10);
  EXPECT_NEAR(static_cast<double>(profile.latency(1, 16)->count()), 1.4e6, 10);
  EXPECT_LE(*profile.latency(1, 24), 1401us) << "what lies between follows the others";
  EXPECT_GE(*profile.latency(2, 20), 1799us) << "more rows take no less";
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
  EXPECT_GT(*profile.latency(1, 2), 7500us);
  EXPECT_GT(*profile.latency(8, 1), 90ms);
  const Duration unseen = *profile.latency(8, 1);
  for (int i = 0; i < 20; ++i) {
    profile.observe(8, 1, 50ms);
  }
  EXPECT_LT(*profile.latency(8, 1), 60ms) << "what is seen outweighs what was inferred: " << unseen.count();
}

TEST(Profile, WhatNeighboursCostTellsNothingOfTheWholeDevice) {
  Profile profile({{8, 33, 10ms}, {8, 66, 6ms}, {8, 132, 4ms}});
  for (int i = 0; i < 50; ++i) {
    profile.observe(8, 33, 13ms);
  }
  EXPECT_GT(*profile.latency(8, 132), 4500us);  // where it is compared with slices, what is unseen goes along with them
  EXPECT_EQ(*profile.without_neighbours(8, 132), 4ms);
  profile.observe(8, 132, 4200us);
  EXPECT_GE(*profile.without_neighbours(8, 132), 4ms);
  EXPECT_LE(*profile.without_neighbours(8, 132), 4200us);
  EXPECT_EQ(profile.without_neighbours(8, 100), std::nullopt);
}

TEST(Profile, TheNoiseOfManySizesDoesNotAddUpInWhatIsUnseen) {
  std::vector<ProfilePoint> points;
  for (std::int32_t bucket = 1; bucket <= 16; bucket *= 2) {
    for (std::int32_t processors = 1; processors <= 16; ++processors) {
      points.push_back({bucket, processors, Duration(1'000'000 * bucket / processors)});
    }
  }
  Profile profile(points);
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(0, 0.1);
  for (int run = 0; run < 10; ++run) {
    for (const ProfilePoint& point : points) {
      if (point.processors > 1) {
        profile.observe(
            point.bucket, point.processors,
            Duration(std::llround(1.3 * std::exp(noise(random)) * static_cast<double>(point.latency.count()))));
      }
    }
  }
  for (std::int32_t bucket = 1; bucket <= 16; bucket *= 2) {
    EXPECT_NEAR(static_cast<double>(profile.latency(bucket, 1)->count()) / (1e6 * bucket), 1.3, 0.05) << bucket;
  }
}

TEST(Profile, KnowsHowFarRunsAreFromWhatIsPredicted) {
  Profile profile({{1, 1, 10ms}, {2, 1, 18ms}});
  EXPECT_EQ(profile.jitter(), 0ns);
  std::mt19937_64 random(3);
  std::normal_distribution<double> off(0, 80'000);
  for (int i = 0; i < 2000; ++i) {
    profile.observe(1 + i % 2, 1, Duration((i % 2 == 0 ? 10'000'000 : 18'000'000) + std::llround(off(random))));
  }
  EXPECT_NEAR(static_cast<double>(profile.jitter().count()), 80'000, 12'000);
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
