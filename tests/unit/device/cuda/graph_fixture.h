// Graphs captured on a card in memory, to be edited and looked into.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "device/cuda/homed_graph.h"
#include "tests/support/cuda/fake_cuda.h"

namespace tessera::device::test {

class GraphFixture : public testing::Test {
 protected:
  static constexpr std::size_t kBytes = 256;

  GraphFixture() : gpu_(*Gpu::open(driver_, 0)), streams_(*gpu_->make_streams(1)) {
    EXPECT_EQ(driver_.mem_alloc(&memory_, 2 * kBytes), CUDA_SUCCESS);
  }

  CUstream stream() const { return streams_.front().get(); }
  CUresult launch(FakeKernel* kernel, CUstream on, std::vector<void*> values) const {
    return driver_.launch_kernel(reinterpret_cast<CUfunction>(kernel), 1, 1, 1, 1, 1, 1, 0, on, values.data(), nullptr);
  }
  OwnedGraph captured(const std::function<CUresult(CUstream)>& work) const {
    auto graph = capture(*gpu_, stream(), [&](CUstream on) { return driver_.check(work(on), "queue"); });
    EXPECT_TRUE(graph.ok());
    return *std::move(graph);
  }
  static FakeGraph& fake(const OwnedGraph& graph) { return *reinterpret_cast<FakeGraph*>(graph.get()); }
  static CUgraphNode handle(FakeNode* node) { return reinterpret_cast<CUgraphNode>(node); }

  FakeCuda cuda_;
  const Driver driver_ = FakeCuda::table();
  std::shared_ptr<Gpu> gpu_;
  std::vector<OwnedStream> streams_;
  CUdeviceptr memory_ = 0;
};

}  // namespace tessera::device::test
