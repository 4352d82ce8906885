#include "device/cuda/host_tables.h"

#include <array>
#include <string>
#include <tuple>

#include "tests/unit/device/cuda/graph_fixture.h"

namespace tessera::device {
namespace {

using test::FakeNode;

class HostTablesTest : public test::GraphFixture {
 protected:
  Status freeze(const OwnedGraph& graph) {
    return freeze_host_tables(
        *gpu_, graph.get(), stream(), [&](std::span<const std::byte> table) -> Result<TablePlace> {
          asked_.push_back(table.size());
          if (none_left_) {
            return Error(ErrorCode::kResourceExhausted, "no memory left for tables");
          }
          return there_ != 0 ? TablePlace{there_, true} : TablePlace{allocate(table.size()), false};
        });
  }
  CUdeviceptr allocate(std::size_t size) const {
    CUdeviceptr made = 0;
    EXPECT_EQ(driver_.mem_alloc(&made, size), CUDA_SUCCESS);
    return made;
  }
  // A graph of one copy, to the card's memory.
  OwnedGraph copy(const CUDA_MEMCPY3D& params) const {
    OwnedGraph graph = captured([](CUstream) { return CUDA_SUCCESS; });
    CUgraphNode node = nullptr;
    EXPECT_EQ(driver_.graph_add_memcpy_node(&node, graph.get(), nullptr, 0, &params, gpu_->context()), CUDA_SUCCESS);
    return graph;
  }
  CUDA_MEMCPY3D from_host(const void* from, std::size_t size) const {
    CUDA_MEMCPY3D params{};
    params.srcMemoryType = CU_MEMORYTYPE_HOST;
    params.srcHost = from;
    params.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    params.dstDevice = memory_;
    params.WidthInBytes = size;
    params.Height = params.Depth = 1;
    return params;
  }
  void is_left(const OwnedGraph& graph) {
    const FakeNode before = *fake(graph).nodes.front();
    ASSERT_TRUE(freeze(graph).ok());
    EXPECT_TRUE(asked_.empty());
    ASSERT_EQ(fake(graph).nodes.size(), 1U);
    const CUDA_MEMCPY3D& now = fake(graph).nodes.front()->copy;
    EXPECT_EQ(std::tie(now.srcMemoryType, now.srcHost, now.srcDevice, now.dstMemoryType, now.dstHost, now.dstDevice),
              std::tie(before.copy.srcMemoryType, before.copy.srcHost, before.copy.srcDevice, before.copy.dstMemoryType,
                       before.copy.dstHost, before.copy.dstDevice));
    EXPECT_EQ(std::tie(now.WidthInBytes, now.Height, now.Depth),
              std::tie(before.copy.WidthInBytes, before.copy.Height, before.copy.Depth));
  }
  std::string content(CUdeviceptr at) const { return reinterpret_cast<const char*>(at); }

  std::vector<std::size_t> asked_;
  bool none_left_ = false;
  CUdeviceptr there_ = 0;  // a table that is filled already; 0: none is
};

TEST_F(HostTablesTest, ATableIsCopiedFromTheCardFromNowOn) {
  std::array<char, 16> table{"addresses"};
  const OwnedGraph graph = captured([&](CUstream on) {
    return std::max({driver_.memset_d8_async(memory_, 1, kBytes, on),
                     driver_.memcpy_htod_async(memory_, table.data(), table.size(), on),
                     driver_.memcpy_dtod_async(memory_ + kBytes, memory_, table.size(), on)});
  });
  ASSERT_TRUE(freeze(graph).ok());
  EXPECT_EQ(asked_, std::vector<std::size_t>{table.size()});
  table.fill('x');  // the frozen one is read
  auto homed = HomedGraph::make(*gpu_, graph.get(), gpu_->context(), stream());
  ASSERT_TRUE(homed.ok()) << homed.error().message();
  ASSERT_TRUE(homed->launch(stream()).ok());
  ASSERT_EQ(driver_.stream_synchronize(stream()), CUDA_SUCCESS);
  EXPECT_EQ(content(memory_ + kBytes), "addresses") << "it kept its place between the others";
  for (const auto& node : fake(graph).nodes) {
    unsigned kind = 0;
    if (node->type == CU_GRAPH_NODE_TYPE_MEMCPY) {
      EXPECT_EQ(driver_.pointer_get_attribute(&kind, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, node->copy.srcDevice),
                CUDA_SUCCESS);
      EXPECT_EQ(kind, unsigned{CU_MEMORYTYPE_DEVICE});
    }
  }
}

TEST_F(HostTablesTest, ASourceNamedAsTheHostsIsFrozenToo) {
  const std::array<char, 16> table{"named"};
  const OwnedGraph graph = copy(from_host(table.data(), table.size()));
  ASSERT_TRUE(freeze(graph).ok());
  ASSERT_EQ(fake(graph).nodes.size(), 1U);
  const CUDA_MEMCPY3D& now = fake(graph).nodes.front()->copy;
  EXPECT_EQ(now.srcMemoryType, CU_MEMORYTYPE_DEVICE);
  EXPECT_EQ(now.srcHost, nullptr);
  EXPECT_EQ(now.dstDevice, memory_);
  EXPECT_EQ(now.WidthInBytes, table.size());
  EXPECT_EQ(content(now.srcDevice), "named");
}

TEST_F(HostTablesTest, ATableThatIsThereIsNotCopiedAgain) {
  const std::array<char, 16> table{"shared"};
  const OwnedGraph first = copy(from_host(table.data(), table.size()));
  ASSERT_TRUE(freeze(first).ok());
  there_ = fake(first).nodes.front()->copy.srcDevice;
  cuda_.forget_calls();
  const OwnedGraph second = copy(from_host(table.data(), table.size()));
  ASSERT_TRUE(freeze(second).ok());
  EXPECT_EQ(fake(second).nodes.front()->copy.srcDevice, there_);
  EXPECT_EQ(content(there_), "shared");
  EXPECT_EQ(cuda_.count("cuMemcpyHtoDAsync"), 0U);
}

TEST_F(HostTablesTest, OnlySmallOnesAreTables) {
  std::vector<std::byte> input(kLargestFrozen + 1);
  is_left(copy(from_host(input.data(), kLargestFrozen + 1)));
  ASSERT_TRUE(freeze(copy(from_host(input.data(), kLargestFrozen))).ok());
  EXPECT_EQ(asked_, std::vector<std::size_t>{kLargestFrozen});
}

TEST_F(HostTablesTest, CopiesOfSeveralRowsOrPartsAreLeft) {
  const std::array<char, 64> table{};
  for (std::size_t CUDA_MEMCPY3D::*member : {&CUDA_MEMCPY3D::Height, &CUDA_MEMCPY3D::Depth, &CUDA_MEMCPY3D::srcXInBytes,
                                             &CUDA_MEMCPY3D::srcY, &CUDA_MEMCPY3D::srcZ}) {
    CUDA_MEMCPY3D params = from_host(table.data(), 8);
    params.*member = 2;
    is_left(copy(params));
  }
}

TEST_F(HostTablesTest, CopiesWithinTheCardAndToTheHostAreLeft) {
  std::array<char, 16> host{};
  is_left(captured([&](CUstream on) { return driver_.memcpy_dtod_async(memory_ + kBytes, memory_, 16, on); }));
  is_left(captured([&](CUstream on) { return driver_.memcpy_dtoh_async(host.data(), memory_, 16, on); }));
}

TEST_F(HostTablesTest, WithoutMemoryTheErrorComesBackAndTheGraphStays) {
  const std::array<char, 16> table{};
  const OwnedGraph graph = copy(from_host(table.data(), table.size()));
  none_left_ = true;
  const Status frozen = freeze(graph);
  ASSERT_FALSE(frozen.ok());
  EXPECT_EQ(frozen.error().code(), ErrorCode::kResourceExhausted);
  EXPECT_EQ(frozen.error().message(), "no memory left for tables");
  EXPECT_EQ(fake(graph).nodes.front()->copy.srcHost, table.data());
}

}  // namespace
}  // namespace tessera::device
