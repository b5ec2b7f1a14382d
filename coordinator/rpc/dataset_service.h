#ifndef LORY_COORDINATOR_RPC_DATASET_SERVICE_H_
#define LORY_COORDINATOR_RPC_DATASET_SERVICE_H_

#include "coordinator/engine/coordinator.h"
#include "coordinator/rpc/call.h"
#include "lory/v1/dataset.grpc.pb.h"

namespace lory::coordinator {

// DatasetService on the wire. Thread-safe.
class DatasetServiceRpc final : public lory::v1::DatasetService::Service {
 public:
  DatasetServiceRpc(Coordinator& coordinator, CallObserver* observer)
      : coordinator_(coordinator), observer_(observer) {}

  grpc::Status CreateDataset(grpc::ServerContext*,
                             const lory::v1::CreateDatasetRequest* request,
                             lory::v1::Dataset* response) override;
  grpc::Status GetDataset(grpc::ServerContext*,
                          const lory::v1::GetDatasetRequest* request,
                          lory::v1::Dataset* response) override;
  grpc::Status ListDatasets(grpc::ServerContext*,
                            const lory::v1::ListDatasetsRequest* request,
                            lory::v1::ListDatasetsResponse* response) override;
  grpc::Status DeleteDataset(grpc::ServerContext*,
                             const lory::v1::DeleteDatasetRequest* request,
                             lory::v1::Dataset* response) override;

 private:
  Coordinator& coordinator_;
  CallObserver* const observer_;
};

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_RPC_DATASET_SERVICE_H_
