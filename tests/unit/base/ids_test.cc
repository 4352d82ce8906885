#include "base/ids.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace tessera {
namespace {

template <typename A, typename B>
concept Comparable = requires(A a, B b) {
  a == b;
};

static_assert(Comparable<RequestId, RequestId>);
static_assert(!Comparable<RequestId, LaunchId>, "ids of different kinds must not mix");
static_assert(!std::is_convertible_v<std::uint64_t, RequestId>);
static_assert(sizeof(LaneIndex) == 2 && sizeof(InstanceId) == 4 && sizeof(RequestId) == 8);

TEST(Ids, CompareAndHashByValue) {
  EXPECT_LT(RequestId{1}, RequestId{2});
  EXPECT_EQ(LaunchId{5}, LaunchId{5});
  EXPECT_EQ(InstanceId{}.value, 0U);
  std::unordered_set<RequestId> seen{{1}, {2}, {1}};
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_TRUE(seen.contains(RequestId{2}));
}

}  // namespace
}  // namespace tessera
