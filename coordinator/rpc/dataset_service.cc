#include "coordinator/rpc/dataset_service.h"

namespace lory::coordinator {

grpc::Status DatasetServiceRpc::CreateDataset(
    grpc::ServerContext*, const lory::v1::CreateDatasetRequest* request,
    lory::v1::Dataset* response) {
  return Finish(observer_, "CreateDataset",
                coordinator_.CreateDataset(*request), response);
}

grpc::Status DatasetServiceRpc::GetDataset(
    grpc::ServerContext*, const lory::v1::GetDatasetRequest* request,
    lory::v1::Dataset* response) {
  return Finish(observer_, "GetDataset",
                coordinator_.GetDataset(request->name()), response);
}

grpc::Status DatasetServiceRpc::ListDatasets(
    grpc::ServerContext*, const lory::v1::ListDatasetsRequest* request,
    lory::v1::ListDatasetsResponse* response) {
  return Finish(observer_, "ListDatasets", coordinator_.ListDatasets(*request),
                response);
}

grpc::Status DatasetServiceRpc::DeleteDataset(
    grpc::ServerContext*, const lory::v1::DeleteDatasetRequest* request,
    lory::v1::Dataset* response) {
  return Finish(observer_, "DeleteDataset",
                coordinator_.DeleteDataset(*request), response);
}

}  // namespace lory::coordinator
