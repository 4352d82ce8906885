// That what keeps lanes apart would be seen to be missing: two lanes at once, with memory of their own and without.
#include <gtest/gtest.h>

#include "tests/gpu/card_fixture.h"
#include "tests/support/cuda/lane_pair.h"

namespace tessera::device::contract {
namespace {

class LanesTest : public CardTest {};

TEST_F(LanesTest, LanesApartAnswerEachTheirOwn) {
  LanePair pair(*kit_, false);
  for (std::size_t lane = 0; lane < 2; ++lane) {
    const Status audited = pair.audit(lane);
    EXPECT_TRUE(audited.ok()) << audited.error().message();
  }
  for (unsigned char value = 1; value < 100; ++value) {
    EXPECT_EQ(pair.wrong_of_two(value), 0);
  }
}

TEST_F(LanesTest, AliasedLanesAreCaughtByTheAuditAndByTheirAnswers) {
  LanePair pair(*kit_, true);
  const Status audited = pair.audit(1);
  ASSERT_FALSE(audited.ok());
  EXPECT_NE(audited.error().message().find("lane 0"), std::string::npos) << audited.error().message();
  EXPECT_EQ(pair.wrong_of_two(7), 1);
}

}  // namespace
}  // namespace tessera::device::contract
